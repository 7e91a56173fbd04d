package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"cuelang.org/go/encoding/yaml"

	"kvbench/engine/data"
)

// The fake kubectl and docker run the containers of a job as processes on this machine. They
// use the same command and environment as the real programs, and replace paths below a mount
// with paths in a folder. FAKE_CLUSTER is a folder for the logs of pods.

// container is either a container in a pod or a service of Docker Compose.
type container struct {
	Name          string
	Image         string
	Command, Args []string
	WorkingDir    string
	RestartPolicy string
	Env           []struct {
		Name, Value string
		ValueFrom   struct {
			FieldRef     struct{ FieldPath string }
			SecretKeyRef struct{ Name, Key string }
		}
	}
	VolumeMounts []struct{ Name, MountPath string }
}

type kubernetesJob struct {
	Kind     string
	Metadata struct{ Name string }
	Spec     struct {
		Completions, Parallelism int
		Template                 struct {
			Spec struct {
				InitContainers, Containers []container
				Volumes                    []struct {
					Name      string
					ConfigMap struct{ Name string }
					HostPath  struct{ Path string }
					EmptyDir  *struct{}
				}
			}
		}
	}
}

// decodeYAML reads a document into a value.
func decodeYAML(text []byte, to any) error {
	f, err := yaml.Extract("", text)
	if err != nil {
		return err
	}
	return data.NewContext().BuildFile(f).Decode(to)
}

// expand replaces $(NAME) as Kubernetes does. $$ becomes a dollar sign, and unknown names
// stay unchanged.
func expand(text string, env map[string]string) string {
	return regexp.MustCompile(`\$\$|\$\([^)]*\)`).ReplaceAllStringFunc(text, func(s string) string {
		if s == "$$" {
			return "$"
		}
		if v, ok := env[s[2:len(s)-1]]; ok {
			return v
		}
		return s
	})
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "stand-in:", err)
		os.Exit(1)
	}
}

// moved replaces the mount point at the beginning of a path with the mounted folder.
func moved(path string, mounts map[string]string) string {
	for at, dir := range mounts {
		if path == at || strings.HasPrefix(path, at+"/") {
			return dir + path[len(at):]
		}
	}
	return path
}

// etcdServer starts an etcd server with a container's command, but on free ports, and
// returns the server's address.
func etcdServer(argv []string, mounts map[string]string) (address string, stop func(), err error) {
	ports := []string{strconv.Itoa(freePort()), strconv.Itoa(freePort())}
	var words []string
	for _, a := range argv {
		name, value, _ := strings.Cut(a, "=")
		a = name + "=" + moved(value, mounts)
		a = strings.NewReplacer(":23790", ":"+ports[0], ":23791", ":"+ports[1], "0.0.0.0", "127.0.0.1").Replace(a)
		words = append(words, strings.TrimSuffix(a, "="))
	}
	cmd := exec.Command(words[0], words[1:]...)
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	address = "127.0.0.1:" + ports[0]
	for range 300 {
		if r, err := http.Get("http://" + address + "/health"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return address, stop, nil
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	return "", nil, errors.New("etcd did not become healthy")
}

// fakeKubectl imitates kubectl and a cluster.
func fakeKubectl() {
	var args []string
	for _, a := range os.Args[1:] {
		if !strings.HasPrefix(a, "--namespace=") {
			args = append(args, a)
		}
	}
	cluster := os.Getenv("FAKE_CLUSTER")
	switch {
	case len(args) == 3 && args[0] == "create" && args[1] == "-k":
		fail(createJob(args[2], cluster))
	case len(args) == 3 && args[0] == "delete" && args[1] == "-k":
		job, _, err := readJob(args[2])
		fail(err)
		fail(os.RemoveAll(filepath.Join(cluster, job.Metadata.Name)))
	case len(args) == 5 && args[0] == "get" && args[1] == "job" && args[4] == "jsonpath={.metadata.creationTimestamp}-{.metadata.uid}":
		text, err := os.ReadFile(filepath.Join(cluster, args[2], "attempt"))
		fail(err)
		fmt.Printf("%s", text)
	case len(args) == 6 && args[0] == "get" && args[1] == "pods" && args[4] == "-o" && args[5] == "name":
		_, name, _ := strings.Cut(args[3], "batch.kubernetes.io/job-name=")
		pods, _ := filepath.Glob(filepath.Join(cluster, name, "*.log"))
		slices.Reverse(pods) // kubectl does not guarantee an order
		for _, pod := range pods {
			fmt.Println("pod/" + strings.TrimSuffix(filepath.Base(pod), ".log"))
		}
	case len(args) == 4 && args[0] == "logs" && args[2] == "-c" && args[3] == "nixlbench":
		logs, _ := filepath.Glob(filepath.Join(cluster, "*", filepath.Base(args[1])+".log"))
		if len(logs) != 1 {
			fail(fmt.Errorf("there is no pod %s", args[1]))
		}
		text, err := os.ReadFile(logs[0])
		fail(err)
		os.Stdout.Write(text)
	default:
		fail(fmt.Errorf("the fake kubectl does not support %q", args))
	}
}

// readJob reads the manifests in a folder, and the files of its ConfigMap.
func readJob(dir string) (job *kubernetesJob, files []string, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
	if err != nil {
		return nil, nil, err
	}
	var k struct {
		Resources          []string
		ConfigMapGenerator []struct {
			Name  string
			Files []string
		}
	}
	if err := decodeYAML(text, &k); err != nil {
		return nil, nil, err
	}
	for _, name := range k.Resources {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, nil, err
		}
		for doc := range bytes.SplitSeq(text, []byte("\n---\n")) {
			j := &kubernetesJob{}
			if err := decodeYAML(doc, j); err != nil {
				return nil, nil, err
			}
			if j.Kind == "Job" {
				job = j
			}
		}
	}
	if job == nil || len(k.ConfigMapGenerator) != 1 || k.ConfigMapGenerator[0].Name != job.Metadata.Name {
		return nil, nil, errors.New("there is no job, or no ConfigMap with its name")
	}
	return job, k.ConfigMapGenerator[0].Files, nil
}

// createJob runs the pods of a job until they end.
func createJob(dir, cluster string) error {
	job, files, err := readJob(dir)
	if err != nil {
		return err
	}
	to := filepath.Join(cluster, job.Metadata.Name)
	if _, err := os.Stat(to); err == nil {
		return fmt.Errorf("jobs.batch %q already exists", job.Metadata.Name)
	}
	scripts := filepath.Join(to, "scripts")
	size := 0
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		size += len(text)
		if err := errors.Join(os.MkdirAll(scripts, 0o755), os.WriteFile(filepath.Join(scripts, name), text, 0o444)); err != nil {
			return err
		}
	}
	if size > 1<<20 {
		return errors.New("the ConfigMap is too large")
	}
	// Attempts that start within the same second must also sort by age.
	now := time.Now().UTC()
	attempt := fmt.Sprintf("%s-uid%d", now.Format(time.RFC3339), now.UnixNano())
	if err := os.WriteFile(filepath.Join(to, "attempt"), []byte(attempt), 0o644); err != nil {
		return err
	}
	var pods sync.WaitGroup
	first := make(chan string, job.Spec.Completions) // the address of etcd
	done := make(chan struct{})
	for i := range job.Spec.Completions {
		pods.Go(func() {
			p := &pod{job: job, index: i, dir: filepath.Join(to, fmt.Sprint("files", i)), scripts: scripts, first: first, done: done}
			log, err := os.Create(filepath.Join(to, fmt.Sprintf("%s-%d-x%dyz.log", job.Metadata.Name, i, i)))
			if err == nil {
				err = p.run(log)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "stand-in: pod", i, err)
			}
			if i == 0 {
				close(done)
			}
		})
	}
	pods.Wait()
	fmt.Printf("job.batch/%s created\n", job.Metadata.Name)
	return nil
}

// pod is a pod of a job.
type pod struct {
	job          *kubernetesJob
	index        int
	dir, scripts string
	first        chan string
	done         chan struct{} // closed when the first pod has ended
}

func (p *pod) run(log *os.File) error {
	spec := p.job.Spec.Template.Spec
	volumes := map[string]string{}
	for _, v := range spec.Volumes {
		dir := filepath.Join(p.dir, v.Name)
		switch {
		case v.ConfigMap.Name == p.job.Metadata.Name:
			dir = p.scripts
		case v.HostPath.Path != "":
			dir = v.HostPath.Path
		default:
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		volumes[v.Name] = dir
	}
	mounts := func(c *container) map[string]string {
		m := map[string]string{}
		for _, v := range c.VolumeMounts {
			m[v.MountPath] = volumes[v.Name]
		}
		return m
	}
	etcd := ""
	for _, c := range spec.InitContainers {
		if c.RestartPolicy != "Always" {
			return errors.New("the init container would have to end")
		}
		address, stop, err := etcdServer(append(c.Command, c.Args...), mounts(&c))
		if err != nil {
			return err
		}
		defer stop()
		if etcd = address; p.index == 0 {
			for range p.job.Spec.Completions {
				p.first <- address
			}
		}
	}
	if etcd != "" {
		etcd = <-p.first
	}
	c := &spec.Containers[0]
	env := map[string]string{"JOB_COMPLETION_INDEX": strconv.Itoa(p.index)}
	for _, e := range c.Env {
		switch {
		case e.ValueFrom.FieldRef.FieldPath != "":
			env[e.Name] = "uid" + strconv.Itoa(os.Getpid())
		case e.ValueFrom.SecretKeyRef.Name != "":
			env[e.Name] = os.Getenv("SECRET_" + e.ValueFrom.SecretKeyRef.Key)
		default:
			env[e.Name] = expand(e.Value, env)
		}
	}
	if at := env["KVBENCH_ETCD"]; at != "" {
		env["KVBENCH_ETCD"] = regexp.MustCompile(`^http://[^/]+:23790$`).ReplaceAllString(at, "http://"+etcd)
	}
	var argv []string
	for _, word := range append(c.Command, c.Args...) {
		argv = append(argv, moved(expand(word, env), mounts(c)))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = moved(c.WorkingDir, mounts(c))
	cmd.Env = os.Environ()
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if os.Getenv("FAKE_ETCD") == "" {
		meet := filepath.Join(filepath.Dir(p.dir), "meet")
		os.Mkdir(meet, 0o755)
		cmd.Env = append(cmd.Env, "FAKE_ETCD="+meet)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return nil // the pod has failed
	}
	return err
}

// composeFile is the part of a compose.yaml that the fake uses.
type composeFile struct {
	Services map[string]struct {
		Image               string
		Entrypoint, Command []string
		Environment         map[string]*string
		Volumes             []struct{ Type, Source, Target string }
		DependsOn           map[string]struct{ Condition string } `json:"depends_on"`
	}
}

// composed replaces $$ with $, as Docker Compose does. It fails if the text contains a
// variable, because jobs must not contain any.
func composed(text string) string {
	rest := strings.ReplaceAll(text, "$$", "")
	if strings.Contains(rest, "$") {
		fail(fmt.Errorf("%q contains a variable", text))
	}
	return strings.ReplaceAll(text, "$$", "$")
}

// fakeDocker imitates docker compose up and down.
func fakeDocker() {
	args := os.Args[1:]
	if slices.Equal(args, []string{"compose", "down"}) {
		_, err := os.Stat("compose.yaml")
		fail(err)
		return
	}
	if !slices.Equal(args, []string{"compose", "up", "--exit-code-from", "nixlbench"}) {
		fail(fmt.Errorf("the fake docker does not support %q", args))
	}
	text, err := os.ReadFile("compose.yaml")
	fail(err)
	var file composeFile
	fail(decodeYAML(text, &file))
	s := file.Services["nixlbench"]
	here, err := os.Getwd()
	fail(err)
	mounts := map[string]string{}
	for _, v := range s.Volumes {
		if v.Source == "." {
			mounts[v.Target] = here
		}
	}
	etcd, stop := "", func() {}
	if server, ok := file.Services["etcd"]; ok {
		if s.DependsOn["etcd"].Condition != "service_healthy" {
			fail(errors.New("nixlbench does not wait for etcd"))
		}
		data, err := os.MkdirTemp("", "etcd")
		fail(err)
		defer os.RemoveAll(data)
		etcd, stop, err = etcdServer(append(server.Entrypoint, server.Command...), map[string]string{"/etcd": data})
		fail(err)
	}
	var argv []string
	for _, word := range append(s.Entrypoint, s.Command...) {
		argv = append(argv, moved(composed(word), mounts))
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = os.Environ()
	for name, value := range s.Environment {
		if value != nil {
			v := regexp.MustCompile(`^http://[^/]+:23790$`).ReplaceAllString(composed(*value), "http://"+etcd)
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err = cmd.Run()
	stop()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		os.Exit(exit.ExitCode())
	}
	fail(err)
}

// gateway imitates the part of etcd's JSON gateway that a job uses.
func gateway() {
	var mu sync.Mutex
	keys := map[string]string{}
	field := func(body []byte, name string) string {
		m := regexp.MustCompile(`"` + name + `":"([^"]*)"`).FindSubmatch(body)
		if m == nil {
			return ""
		}
		return string(m[1])
	}
	handle := func(path string, f func(body []byte) string) {
		http.HandleFunc("/v3/"+path, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(w, `{"header":{"cluster_id":"1"}%s}`, f(body))
		})
	}
	handle("kv/put", func(body []byte) string {
		keys[field(body, "key")] = field(body, "value")
		return ""
	})
	handle("kv/range", func(body []byte) string {
		key := field(body, "key")
		value, ok := keys[key]
		if !ok {
			return ""
		}
		return fmt.Sprintf(`,"kvs":[{"key":"%s","create_revision":"2","mod_revision":"2","version":"1","value":"%s"}],"count":"1"`, key, value)
	})
	handle("kv/deleterange", func([]byte) string { return `,"deleted":"1"` })
	handle("lease/grant", func([]byte) string { return `,"ID":"7587895","TTL":"60"` })
}
