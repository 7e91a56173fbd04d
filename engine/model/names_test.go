package model_test

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/diag"
	"kvbench/engine/model"
	"kvbench/engine/schema"
	"kvbench/models"
)

func bundled(t *testing.T) *model.Loader {
	_, l := loader(t)
	return l
}

// TestFind checks that Hugging Face identifiers find the bundled models, and that no name
// ever finds a model of a different size or version. Parentheses mark an entry that
// replaces the requested model.
func TestFind(t *testing.T) {
	l := bundled(t)
	for name, want := range map[string]string{
		"Qwen/Qwen3-8B":                              "qwen3_8b",
		"qwen/qwen3-8b":                              "qwen3_8b",
		"Qwen/Qwen3-8B-Base":                         "qwen3_8b",
		"Qwen/Qwen3-8B-FP8":                          "qwen3_8b",
		"Qwen3-8B-Instruct":                          "qwen3_8b",
		"Qwen/Qwen2.5-72B-Instruct-GPTQ-Int4":        "qwen2_5_72b",
		"Qwen/Qwen3-235B-A22B-Thinking-2507-FP8":     "qwen3_235b_a22b",
		"meta-llama/Llama-3.1-70B-Instruct":          "llama3_1_70b",
		"meta-llama/Meta-Llama-3.1-70B":              "llama3_1_70b",
		"Llama-3.1-70B-Instruct":                     "llama3_1_70b",
		"meta-llama/Llama-3.1-405B-Instruct-FP8":     "llama3_1_405b",
		"deepseek-ai/DeepSeek-R1":                    "deepseek_r1",
		"openai/gpt-oss-120b":                        "gpt_oss_120b",
		"google/gemma-3-27b-it":                      "gemma_3_27b",
		"mistralai/Mistral-7B-Instruct-v0.1":         "mistral_7b",
		"nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": "nemotron_3_nano_30b_a3b",
		"qwen3_8B":                          "qwen3_8b",
		"gemma3-27b":                        "gemma_3_27b",
		"meta-llama/Llama-3.3-70B-Instruct": "(llama3_1_70b)",
		"deepseek-ai/DeepSeek-V3-Base":      "(deepseek_r1)",

		"Qwen/Qwen3-14B":                            "",
		"Qwen/Qwen3-80B":                            "",
		"qwen38b":                                   "",
		"qwen3-38b":                                 "",
		"Qwen/Qwen3-06B":                            "",
		"meta-llama/Llama-3.1-7B":                   "",
		"meta-llama/Llama-3.2-3B":                   "",
		"mistralai/Mistral-7B-v0.3":                 "",
		"deepseek-ai/DeepSeek-R1-Distill-Qwen-7B":   "",
		"deepseek-ai/DeepSeek-R1-Distill-Llama-70B": "",
		"DeepSeek-R1-Distill":                       "",
		"someone/Qwen3-8B":                          "",
		"openai/whisper-large-v3-turbo":             "",
		"-it":                                       "",
		"/":                                         "",
		"":                                          "",
	} {
		e, err := l.Find(name, nil)
		got := e.Name
		if e.StandsFor != "" {
			got = "(" + e.Name + ")"
		}
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q finds %q (%v), want %q", name, got, err, want)
		}
	}
}

// TestSources checks that every bundled model is found by the identifier of its source, which
// the model's file cites.
func TestSources(t *testing.T) {
	l := bundled(t)
	entries, err := l.Entries(nil)
	if err != nil {
		t.Fatal(err)
	}
	source := regexp.MustCompile(`^# Source: https://huggingface.co/([^/]+/[^/]+)/blob/`)
	for _, e := range entries {
		text, err := l.Text(e)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(text), "# Source: https://github.com/") {
			continue // a drafter; its file is part of a training tool
		}
		m := source.FindSubmatch(text)
		if m == nil {
			t.Errorf("%s does not cite a source", e.File)
			continue
		}
		if got, err := l.Find(string(m[1]), nil); got.Name != e.Name || got.StandsFor != "" {
			t.Errorf("%s finds %q (%v), want %s", m[1], got.Name, err, e.Name)
		}
	}
}

// TestNames checks that the table contains only bundled models, and that no identifier
// belongs to two models.
func TestNames(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	names := s.Names.Get()
	if len(names.Models) < 40 || len(names.Same) == 0 {
		t.Fatalf("%d models, %d the same", len(names.Models), len(names.Same))
	}
	seen := map[string]string{}
	for _, table := range []map[string][]string{names.Models, names.Same} {
		for model, ids := range table {
			if _, err := fs.Stat(models.Files, model+".yaml"); err != nil {
				t.Errorf("%s: %v", model, err)
			}
			for _, id := range ids {
				if strings.Count(id, "/") != 1 {
					t.Errorf("%s is not an identifier", id)
				}
				if other := seen[strings.ToLower(id)]; other != "" {
					t.Errorf("%s leads to %s and %s", id, other, model)
				}
				seen[strings.ToLower(id)] = model
			}
		}
	}
}

// TestSuggestions checks which models are suggested for a wrong name. Models of a different
// size or version are not suggested.
func TestSuggestions(t *testing.T) {
	l := bundled(t)
	none := "run 'kvbench models' to list the known models"
	for name, want := range map[string]string{
		"qwen3-235b":                           `did you mean "qwen3_235b_a22b"?`,
		"qwen3-235":                            `did you mean "qwen3_235b_a22b"?`,
		"qwen3-32":                             `did you mean "qwen3_32b"?`,
		"qwen3-next":                           `did you mean "qwen3_next_80b_a3b"?`,
		"gpt-oss":                              `did you mean one of gpt_oss_120b, gpt_oss_120b_eagle3, gpt_oss_20b?`,
		"gpt-oss-2":                            none,
		"gemma-3":                              `did you mean one of gemma_3_27b, gemma_3_4b?`,
		"qwen3":                                `did you mean one of qwen3_0_6b, qwen3_235b_a22b, qwen3_30b_a3b, qwen3_32b, qwen3_8b, qwen3_next_80b_a3b?`,
		"lama3.1-70b":                          `did you mean "llama3_1_70b"?`,
		"deepsek-r1":                           `did you mean "deepseek_r1"?`,
		"someone/Qwen3-8B-FP8":                 `did you mean "qwen3_8b"?`,
		"other/Meta-Llama-3.1-8B-Instruct-FP8": `did you mean "llama3_1_8b"?`,
		"other/DeepSeek-R1":                    `did you mean "deepseek_r1"?`,
		"other/Llama-3.2-8B":                   none,
		"qwen3-14b":                            none,
		"qwen3-2":                              none,
		"qwen2-7b":                             none,
		"qwen2.5-14b":                          none,
		"llama3.1-7b":                          none,
		"llama3.2-8b":                          none,
		"llama-3-70b":                          none,
		"mixtral-8x8b":                         none,
		"falcon-180b":                          none,
		"DeepSeek-R1-Distill":                  none,
		"DeepSeek-R1-Distil-8B":                none,
		"qwen3-8b-mine":                        none,
		"nothing":                              none,
		"b":                                    none,
		"hf:a/b":                               none,
	} {
		_, err := l.Find(name, nil)
		if err == nil {
			t.Errorf("%s is found", name)
			continue
		}
		if got := hint(err); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func hint(err error) string { return strings.Join(diag.All(err)[0].Hints, "\n") }

// TestOtherNumbers checks that a model is neither found nor suggested if one number in its
// name is changed.
func TestOtherNumbers(t *testing.T) {
	l := bundled(t)
	entries, err := l.Entries(nil)
	if err != nil {
		t.Fatal(err)
	}
	number := regexp.MustCompile(`[0-9]+`)
	tried := 0
	for _, e := range entries {
		for _, at := range number.FindAllStringIndex(e.Name, -1) {
			name := e.Name[:at[0]] + "1" + e.Name[at[0]:] // 8b becomes 18b
			tried++
			found, err := l.Find(name, nil)
			if found.Name == e.Name {
				t.Errorf("%s finds %s", name, e.Name)
			}
			if err != nil && strings.Contains(hint(err), `"`+e.Name+`"`) {
				t.Errorf("%s: %s", name, hint(err))
			}
		}
	}
	if tried < 80 {
		t.Errorf("only %d names tried", tried)
	}
}

func TestComplete(t *testing.T) {
	names := []string{"llama3_1_8b", "qwen3_8b", "Qwen/Qwen3-8B"}
	for _, test := range []struct{ word, want string }{
		{"", "llama3_1_8b qwen3_8b Qwen/Qwen3-8B"},
		{"Ll", "Llama3_1_8b"},
		{"llama3", "llama3_1_8b"},
		{"llama3.", "llama3.1_8b"},
		{"LLAMA-3.1-", "LLAMA-3.1-8b"},
		{"llama31", ""}, // 31 differs from 3.1
		{"qwen3_8b", "qwen3_8b"},
		{"qwen/QWEN3-", "qwen/QWEN3-8B"},
		{"8b", ""},
		{"é", ""},
	} {
		if got := strings.Join(model.Complete(test.word, names), " "); got != test.want {
			t.Errorf("%q is continued to %q, want %q", test.word, got, test.want)
		}
	}
}
