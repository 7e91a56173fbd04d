// Package jobs checks the files that kvbench launch writes for Kubernetes and Docker
// Compose, with the types and rules of the Kubernetes API and with Compose's own reader.
// It is a separate module, so that only this test downloads them.
package jobs

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/schema"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/santhosh-tekuri/jsonschema/v6"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	internalbatch "k8s.io/kubernetes/pkg/apis/batch"
	batchv1 "k8s.io/kubernetes/pkg/apis/batch/v1"
	batchvalidation "k8s.io/kubernetes/pkg/apis/batch/validation"
	internalcore "k8s.io/kubernetes/pkg/apis/core"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/capabilities"
	"sigs.k8s.io/kustomize/api/krusty"
	kustomize "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const root = "../.."

// hostile contains values with a special meaning in YAML, shells, Kubernetes or Compose.
var hostile = []string{
	"plain", "a b", "it's", `say "hi"`, "line\nbreak", "$(HOME)", "$HOME", "${HOME}", "$$", "$${X:-y}", "$(touch owned)", "`id`", "-rf", "--", `back\slash`, `tail\`,
	"*", "&a", "!x", "%s", "@x", "#x", "a #b", "a: b", "- a", "[a]", "{a}", "{{.}}", "|", ">", "?", "~", "null", "yes", "1e3", "0x10", "1:30", "ü", "\u00a0x", "\u2028",
	"tab\there", "\x1b[31m", "\x7f", "\u0085", "\ufeffx", "\U0001f600", "\U000e0001", "'; x; '", " a ",
}

// launch writes a job in the given format.
func launch(t *testing.T, dir, format string, more ...string) {
	t.Helper()
	argv := append([]string{"launch", "--format", format, "-o", dir, "--model", "llama3.1-8b", "--page_size", "64"}, more...)
	if out, err := exec.Command(kvbench, argv...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, out)
	}
}

var kvbench string

func TestMain(m *testing.M) {
	capabilities.Initialize(capabilities.Capabilities{AllowPrivileged: true})
	dir, err := os.MkdirTemp("", "kvbench")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	kvbench = filepath.Join(dir, "kvbench")
	build := exec.Command("go", "build", "-o", kvbench, "./cmd/kvbench")
	build.Dir = root
	out, err := build.CombinedOutput()
	code := 1
	if err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// manifests contains the objects that "kubectl create -k" would create.
type manifests struct {
	configMap *core.ConfigMap
	service   *core.Service
	job       *batch.Job
}

// build reads the manifests in a folder as kubectl does, and decodes them strictly.
func build(t *testing.T, dir string) *manifests {
	t.Helper()
	options := krusty.MakeDefaultOptions()
	options.LoadRestrictions = kustomize.LoadRestrictionsRootOnly
	resources, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	m := decode(t, text)
	decode(t, read(t, dir)) // kustomize may hide errors in the file
	if m.job == nil || m.configMap == nil {
		t.Fatalf("%s contains no job or no ConfigMap", dir)
	}
	return m
}

// read returns the manifest that kvbench wrote.
func read(t *testing.T, dir string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "job.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// decode decodes manifests. Unknown fields are errors.
func decode(t *testing.T, text []byte) *manifests {
	t.Helper()
	m := &manifests{}
	for doc := range strings.SplitSeq(string(text), "\n---\n") {
		var kind struct{ Kind string }
		err := yaml.Unmarshal([]byte(doc), &kind)
		switch kind.Kind {
		case "ConfigMap":
			err = yaml.UnmarshalStrict([]byte(doc), &m.configMap)
		case "Service":
			err = yaml.UnmarshalStrict([]byte(doc), &m.service)
		case "Job":
			err = yaml.UnmarshalStrict([]byte(doc), &m.job)
		default:
			t.Fatalf("%s is an unexpected kind: %v\n%s", kind.Kind, err, doc)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
	}
	return m
}

// accepted checks manifests as a server of the Kubernetes API does.
func accepted(t *testing.T, m *manifests) {
	t.Helper()
	namespace := func(name string) string {
		if name == "" {
			return "default"
		}
		return name
	}
	m.job.Namespace = namespace(m.job.Namespace)
	batchv1.SetObjectDefaults_Job(m.job)
	var job internalbatch.Job
	if err := batchv1.Convert_v1_Job_To_batch_Job(m.job, &job, nil); err != nil {
		t.Fatal(err)
	}
	// The server adds these labels and a selector.
	for _, label := range []string{batch.ControllerUidLabel, batch.JobNameLabel} {
		job.Spec.Template.Labels[label] = "x"
		job.Spec.Selector = meta.AddLabelToSelector(cmp.Or(job.Spec.Selector, &meta.LabelSelector{}), label, "x")
	}
	for _, err := range batchvalidation.ValidateJobSpec(&job.Spec, nil, nil, corevalidation.PodValidationOptions{}) {
		t.Error(err)
	}
	m.configMap.Namespace = namespace(m.configMap.Namespace)
	var configMap internalcore.ConfigMap
	if err := corev1.Convert_v1_ConfigMap_To_core_ConfigMap(m.configMap, &configMap, nil); err != nil {
		t.Fatal(err)
	}
	for _, err := range corevalidation.ValidateConfigMap(&configMap) {
		t.Error(err)
	}
	if m.service == nil {
		return
	}
	m.service.Namespace = namespace(m.service.Namespace)
	corev1.SetObjectDefaults_Service(m.service)
	var service internalcore.Service
	if err := corev1.Convert_v1_Service_To_core_Service(m.service, &service, nil); err != nil {
		t.Fatal(err)
	}
	service.Spec.ClusterIPs = []string{service.Spec.ClusterIP} // as the server does
	for _, err := range corevalidation.ValidateServiceCreate(&service) {
		t.Error(err)
	}
}

// published compiles the published schema of a kind. In the compiled schema, unknown
// fields are errors.
func published(t *testing.T, file, kind string) *jsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "api/openapi-spec/v3", file))
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	doc, err := jsonschema.UnmarshalJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range doc.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any) {
		if o := s.(map[string]any); o["properties"] != nil {
			o["additionalProperties"] = false
		}
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("api.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("api.json#/components/schemas/" + kind)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestKubernetesSchema checks manifests with the published schemas.
func TestKubernetesSchema(t *testing.T) {
	kinds := map[string]*jsonschema.Schema{
		"Job":     published(t, "apis__batch__v1_openapi.json", "io.k8s.api.batch.v1.Job"),
		"Service": published(t, "api__v1_openapi.json", "io.k8s.api.core.v1.Service"),
	}
	seen := map[string]int{}
	for i, j := range jobs {
		dir := filepath.Join(t.TempDir(), "job")
		launch(t, dir, "k8s", append([]string{"--image", "nixl:1"}, j.words...)...)
		for doc := range strings.SplitSeq(string(read(t, dir)), "\n---\n") {
			var v map[string]any
			if err := yaml.UnmarshalStrict([]byte(doc), &v); err != nil {
				t.Fatal(err)
			}
			kind := v["kind"].(string)
			seen[kind]++
			if err := kinds[kind].Validate(v); err != nil {
				t.Errorf("job %d: %v", i, err)
			}
			v["spec"].(map[string]any)["surprise"] = 1
			if kinds[kind].Validate(v) == nil {
				t.Errorf("job %d is valid even with an unknown field", i)
			}
		}
	}
	if seen["Job"] != len(jobs) || seen["Service"] != 5 {
		t.Errorf("the numbers of objects checked are %v", seen)
	}
}

// jobs contains the flags of jobs, and the number of pods that each job has.
var jobs = []struct {
	nodes int32
	words []string
}{
	{1, []string{"--isl", "1k,2k", "--backend", "POSIX"}},
	{1, []string{"--isl", "1k", "--backend", "GDS", "--source", "gpu", "--filepath", "/data", "--mounts", "/mnt/nvme:/data,models:/models:ro", "--gpus", "1"}},
	{2, []string{"--isl", "1k", "--backend", "UCX", "--source", "gpu", "--destination", "gpu", "--fabric", "ib", "--nics", "mlx5_0:1", "--time", "2:00:00"}},
	{2, []string{"--isl", "1k", "--backend", "UCX", "--source", "memory", "--destination", "memory", "--fabric", "roce", "--use_hugepages", "--resources", "rdma/hca_shared_devices_a=1"}},
	{2, []string{"--isl", "1k", "--backend", "LIBFABRIC", "--source", "gpu", "--destination", "gpu", "--fabric", "efa", "--container_network", "host", "--networks", "net-a,net-b"}},
	{1, []string{"--isl", "1k", "--backend", "UCX", "--source", "gpu", "--destination", "gpu", "--fabric", "nvlink"}},
	{2, []string{"--isl", "1k", "--backend", "UCX", "--source", "memory", "--destination", "memory", "--runtime_type", "ASIO", "--fabric", "tcp", "--constraint", "gpu=h100,example.com/zone=a"}},
	{4, []string{"--isl", "1k", "--backend", "UCX", "--source", "memory", "--destination", "memory", "--nodes", "4", "--num_initiator_dev", "2", "--num_target_dev", "2", "--mode", "SG", "--job_name", "four", "--namespace", "bench"}},
	{1, []string{"--isl", "1k", "--backend", "OBJ", "--obj_access_key", "a", "--obj_secret_key", "b", "--obj_bucket_name", "c", "--secret", "s3", "--pull_secret", "registry"}},
}

// TestKubernetes checks the manifests of many jobs.
func TestKubernetes(t *testing.T) {
	for i, j := range jobs {
		dir := filepath.Join(t.TempDir(), "job")
		launch(t, dir, "k8s", append([]string{"--image", "nixl:1"}, j.words...)...)
		m := build(t, dir)
		accepted(t, m)
		spec := &m.job.Spec
		if *spec.Completions != j.nodes || *spec.Parallelism != j.nodes || *spec.CompletionMode != batch.IndexedCompletion {
			t.Errorf("job %d has %d of %d pods at a time, want %d", i, *spec.Parallelism, *spec.Completions, j.nodes)
		}
		if (m.service != nil) != (j.nodes > 1) {
			t.Errorf("job %d: service %v with %d pods", i, m.service, j.nodes)
		}
		pod := &spec.Template.Spec
		if m.service != nil && (m.service.Spec.ClusterIP != "None" || pod.Subdomain != m.service.Name || m.service.Spec.Selector["batch.kubernetes.io/job-name"] != m.job.Name) {
			t.Errorf("job %d: the service does not provide names for the pods: %v", i, m.service)
		}
		for _, name := range []string{m.job.Name, m.configMap.Name} {
			if errs := validation.IsDNS1123Label(name); errs != nil {
				t.Errorf("job %d: %q: %s", i, name, errs)
			}
		}
		if pod.RestartPolicy != core.RestartPolicyNever || len(pod.Containers) != 1 {
			t.Errorf("job %d: %s, %d containers", i, pod.RestartPolicy, len(pod.Containers))
		}
		for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
			for _, v := range c.VolumeMounts {
				if !slices.ContainsFunc(pod.Volumes, func(o core.Volume) bool { return o.Name == v.Name }) {
					t.Errorf("job %d: no volume is called %s", i, v.Name)
				}
			}
			for name, n := range c.Resources.Limits {
				if request, ok := c.Resources.Requests[name]; ok && request.Cmp(n) != 0 {
					t.Errorf("job %d requests %v of %s, with a limit of %v", i, request, name, n)
				}
				if strings.HasPrefix(string(name), "hugepages-2Mi") && n.Value()%(2<<20) != 0 {
					t.Errorf("job %d: %d bytes are not a whole number of huge pages", i, n.Value())
				}
			}
		}
		// The ConfigMap contains the files that the command needs.
		for _, file := range []string{"job.sh", "points.sh", "preflight.sh"} {
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil || m.configMap.Data[file] != string(text) {
				t.Errorf("job %d: the ConfigMap has a different %s: %v", i, file, err)
			}
		}
		etcd := j.nodes > 1 || slices.Contains(j.words, "nvlink")
		if etcd != (len(pod.InitContainers) == 1) || etcd && (*pod.InitContainers[0].RestartPolicy != core.ContainerRestartPolicyAlways || pod.InitContainers[0].StartupProbe.HTTPGet.Path != "/health") {
			t.Errorf("job %d: etcd is not a sidecar with a probe: %v", i, pod.InitContainers)
		}
	}
}

// TestKubernetesDetails checks the parts of a pod that fabrics, storage and secrets need.
func TestKubernetesDetails(t *testing.T) {
	pod := func(i int) (*core.PodSpec, *core.Container) {
		dir := filepath.Join(t.TempDir(), "job")
		launch(t, dir, "k8s", append([]string{"--image", "nixl:1"}, jobs[i].words...)...)
		spec := &build(t, dir).job.Spec.Template.Spec
		return spec, &spec.Containers[0]
	}
	limit := func(c *core.Container, name core.ResourceName, want string) {
		t.Helper()
		if n, ok := c.Resources.Limits[name]; !ok || n.Cmp(resource.MustParse(want)) != 0 {
			t.Errorf("%s is %v, want %s", name, n.String(), want)
		}
	}
	locks := func(c *core.Container) bool {
		return c.SecurityContext != nil && c.SecurityContext.Capabilities != nil && slices.Contains(c.SecurityContext.Capabilities.Add, "IPC_LOCK")
	}
	spec, c := pod(1)
	limit(c, "nvidia.com/gpu", "1")
	if c.SecurityContext == nil || !*c.SecurityContext.Privileged || !slices.Contains(c.Env, core.EnvVar{Name: "NVIDIA_GDS", Value: "enabled"}) {
		t.Error("the pod for GDS does not have access to devices")
	}
	claim, host := false, false
	for _, v := range spec.Volumes {
		claim = claim || v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == "models"
		host = host || v.HostPath != nil && v.HostPath.Path == "/mnt/nvme"
	}
	if !claim || !host {
		t.Errorf("volumes: %v", spec.Volumes)
	}
	spec, c = pod(2)
	limit(c, "rdma/ib", "1")
	limit(c, "nvidia.com/gpu", "1")
	if !locks(c) || spec.Affinity == nil || spec.HostNetwork || !slices.Equal(c.Command, []string{"timeout", "7200", "bash", "/kvbench/job.sh"}) {
		t.Errorf("InfiniBand: %v", c)
	}
	_, c = pod(3)
	limit(c, "rdma/hca_shared_devices_a", "1")
	// 1,024 tokens in pages of 64 tokens are 16 blocks of 4 MiB.
	limit(c, "hugepages-2Mi", "64Mi")
	if _, ok := c.Resources.Limits["rdma/roce_gdr"]; ok || !locks(c) {
		t.Errorf("RoCE: %v", c.Resources)
	}
	spec, c = pod(4)
	limit(c, "vpc.amazonaws.com/efa", "1")
	limit(c, "hugepages-2Mi", "5Gi")
	if !spec.HostNetwork || spec.DNSPolicy != core.DNSClusterFirstWithHostNet {
		t.Error("the pod does not use the node's network")
	}
	_, c = pod(5)
	limit(c, "nvidia.com/gpu", "2")
	spec, c = pod(6)
	if locks(c) || spec.NodeSelector["gpu"] != "h100" || spec.NodeSelector["example.com/zone"] != "a" {
		t.Errorf("TCP: %v", spec.NodeSelector)
	}
	spec, c = pod(8)
	secrets := map[string]bool{}
	for _, e := range c.Env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && e.ValueFrom.SecretKeyRef.Name == "s3" && e.Value == "" {
			secrets[e.ValueFrom.SecretKeyRef.Key] = e.Name == e.ValueFrom.SecretKeyRef.Key
		}
	}
	if len(secrets) != 2 || spec.ImagePullSecrets[0].Name != "registry" {
		t.Errorf("secrets: %v, %v", secrets, spec.ImagePullSecrets)
	}
}

// TestKubernetesHostile checks that every value arrives unchanged, and that Kubernetes
// does not replace $(NAME) in any value.
func TestKubernetesHostile(t *testing.T) {
	for _, v := range hostile {
		t.Run(strconv.Quote(v), func(t *testing.T) { kubernetesHostile(t, v) })
	}
}

func kubernetesHostile(t *testing.T, v string) {
	dir := filepath.Join(t.TempDir(), "job")
	words := []string{"--isl", "1k", "--backend", "UCX", "--source", "memory", "--destination", "memory", "--image=" + v, "--etcd_image=" + v, "--pull_secret=" + v,
		"--networks=" + v, "--secret=" + v, "--device_list=" + v, "--nics=" + v, "--fabric=tcp", "--setup=" + v, "--azure_blob_connection_string=" + v}
	if !strings.ContainsAny(v, ":") {
		words = append(words, "--mounts=/"+v+":/"+v+","+v+":/x")
	}
	if !strings.Contains(v, "=") {
		words = append(words, "--resources="+v+"=1")
	}
	launch(t, dir, "k8s", words...)
	m := decode(t, read(t, dir))
	if v != "\x7f" && v != "\u0085" { // kustomize cannot write these
		m = build(t, dir)
	}
	pod := &m.job.Spec.Template.Spec
	c := &pod.Containers[0]
	got := map[string]string{
		"image": c.Image, "etcd": pod.InitContainers[0].Image, "pull secret": pod.ImagePullSecrets[0].Name,
		"networks": m.job.Spec.Template.Annotations["k8s.v1.cni.cncf.io/networks"],
	}
	if !strings.ContainsAny(v, ":") {
		for _, volume := range pod.Volumes {
			if volume.HostPath != nil {
				got["path"] = strings.TrimPrefix(volume.HostPath.Path, "/")
			}
			// A name that looks like a path is treated as a path.
			if volume.PersistentVolumeClaim != nil {
				got["claim"] = volume.PersistentVolumeClaim.ClaimName
			}
		}
		for _, mount := range c.VolumeMounts {
			if mount.Name == "mount0" {
				got["mount"] = strings.TrimPrefix(mount.MountPath, "/")
			}
		}
	}
	if !strings.Contains(v, "=") {
		if n, ok := c.Resources.Limits[core.ResourceName(v)]; !ok || n.Value() != 1 {
			t.Errorf("%q: resources %v", v, c.Resources.Limits)
		}
	}
	for what, value := range got {
		if value != v && !(what == "path" && v == "~") {
			t.Errorf("%s of %q is %q", what, v, value)
		}
	}
	for _, e := range c.Env {
		if v != "plain" && strings.Contains(e.Value, "$(") {
			t.Errorf("%s is %q", e.Name, e.Value)
		}
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && e.ValueFrom.SecretKeyRef.Name != v {
			t.Errorf("%s: the secret %q is %q", e.Name, v, e.ValueFrom.SecretKeyRef.Name)
		}
	}
	if want := []string{"bash", "/kvbench/job.sh"}; !slices.Equal(c.Command, want) || c.Args != nil {
		t.Errorf("%q: %q %q", v, c.Command, c.Args)
	}
	for _, file := range []string{"job.sh", "points.sh", "preflight.sh"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || m.configMap != nil && m.configMap.Data[file] != string(text) {
			t.Errorf("%q: the ConfigMap has a different %s: %v", v, file, err)
		}
	}
}

// load reads a compose.yaml as Docker Compose does, with its schema.
func load(t *testing.T, dir string) (*types.Project, error) {
	t.Helper()
	name := filepath.Join(dir, "compose.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]any
	if err := yaml.UnmarshalStrict(text, &raw); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if err := schema.Validate(raw); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	return loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: name}},
		Environment: types.Mapping{"HOME": "/home/replaced", "X": "replaced", "KVBENCH_AZURE_BLOB_CONNECTION_STRING": "secret"},
	})
}

// TestCompose checks the compose.yaml files of many jobs.
func TestCompose(t *testing.T) {
	for i, j := range jobs {
		if slices.Contains(j.words, "--nodes") {
			continue // Docker Compose runs on one machine
		}
		dir := filepath.Join(t.TempDir(), "job")
		launch(t, dir, "compose", append([]string{"--image", "nixl:1"}, j.words...)...)
		p, err := load(t, dir)
		if err != nil {
			t.Fatalf("job %d: %v", i, err)
		}
		s := p.Services["nixlbench"]
		if s.Image != "nixl:1" || s.Ulimits["memlock"].Soft != -1 || s.Ulimits["memlock"].Hard != -1 || int64(s.ShmSize) != 8<<30 {
			t.Errorf("job %d: %v", i, s)
		}
		if s.Volumes[0].Source != dir || s.Volumes[0].Target != "/kvbench" {
			t.Errorf("job %d: the folder of the job is not mounted: %v", i, s.Volumes)
		}
		rdma := slices.Contains(j.words, "ib") || slices.Contains(j.words, "roce") || slices.Contains(j.words, "efa")
		if (s.NetworkMode == "host") != rdma || slices.Contains(s.CapAdd, "IPC_LOCK") != rdma {
			t.Errorf("job %d: network %s, capabilities %s", i, s.NetworkMode, s.CapAdd)
		}
		// All processes are on one machine, where two of them need etcd, unless they meet over ASIO.
		etcd := (rdma || slices.Contains(j.words, "nvlink")) && !slices.Contains(j.words, "ASIO")
		if e, ok := p.Services["etcd"]; ok != etcd || ok && (e.HealthCheck == nil || s.DependsOn["etcd"].Condition != types.ServiceConditionHealthy) {
			t.Errorf("job %d: etcd: %v, %v", i, e.HealthCheck, s.DependsOn)
		}
		gds := slices.Contains(j.words, "GDS")
		if v := s.Environment["NVIDIA_GDS"]; s.Privileged != gds || (v != nil && *v == "enabled") != gds || slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == "/run/udev" }) != gds {
			t.Errorf("job %d: GDS %v: %v", i, gds, s)
		}
		gpu := slices.Contains(j.words, "gpu")
		if (s.Deploy != nil && len(s.Deploy.Resources.Reservations.Devices) == 1) != gpu {
			t.Errorf("job %d: devices: %v", i, s.Deploy)
		}
	}
}

// TestComposeHostile checks that every value arrives unchanged.
func TestComposeHostile(t *testing.T) {
	for _, v := range hostile {
		if !strings.Contains(v, ":") {
			t.Run(strconv.Quote(v), func(t *testing.T) { composeHostile(t, v) })
		}
	}
}

func composeHostile(t *testing.T, v string) {
	dir := filepath.Join(t.TempDir(), "job")
	launch(t, dir, "compose", "--isl", "1k", "--backend", "UCX", "--source", "memory", "--destination", "memory", "--image="+v, "--etcd_image="+v,
		"--mounts=/"+v+":/"+v+",v"+v+":/x", "--device_list="+v, "--nics="+v, "--fabric=tcp", "--setup="+v, "--azure_blob_connection_string="+v)
	p, err := load(t, dir)
	if err != nil {
		t.Fatalf("%q: %v", v, err)
	}
	s := p.Services["nixlbench"]
	got := map[string]string{"image": s.Image, "etcd": p.Services["etcd"].Image}
	for _, m := range s.Volumes {
		switch m.Type {
		case "bind":
			if m.Target != "/kvbench" {
				got["path"] = strings.TrimPrefix(m.Source, "/")
				got["mount"] = strings.TrimPrefix(m.Target, "/")
			}
		case "volume":
			got["volume"] = strings.TrimPrefix(p.Volumes[m.Source].Name, "v")
		}
	}
	for what, value := range got {
		if value != v {
			t.Errorf("%s of %q is %q", what, v, value)
		}
	}
	if len(got) != 5 {
		t.Errorf("%q: %q", v, got)
	}
	if secret := s.Environment["KVBENCH_AZURE_BLOB_CONNECTION_STRING"]; secret == nil || *secret != "secret" {
		t.Errorf("%q: the secret is %v", v, secret)
	}
	if want := []string{"bash", "/kvbench/job.sh"}; !slices.Equal([]string(s.Entrypoint), want) {
		t.Errorf("%q: %q", v, s.Entrypoint)
	}
}
