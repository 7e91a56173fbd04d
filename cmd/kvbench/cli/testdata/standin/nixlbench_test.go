// Package standin imitates nixlbench for tests, which start it two thousand times. It is
// test code, so it is built with go test -c. It starts three times as fast as a command
// in the tests' own program, because it does not import CUE. Instead, it reads the flags
// of all releases from a file in the program's folder.
package standin

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// fake imitates nixlbench. It parses arguments as gflags does, has the flags of the
// release FAKE_RELEASE, rejects what that release rejects, and prints tables captured
// from real runs. FAKE_FAULT makes it misbehave. If FAKE_WHEN is set to flag=value, it
// misbehaves only if the flag has that value.
type fake struct {
	releases []string // in order
	release  string
	types    map[string]string
	values   map[string]string
	out      *bufio.Writer
}

// TestMain is the program. If FAKE_SURFACE is "print", it prints the surface.
func TestMain(*testing.M) {
	if os.Getenv("FAKE_SURFACE") == "print" {
		printSurface()
		return
	}
	f := &fake{release: "main-2026-08-21", types: map[string]string{}, values: map[string]string{}, out: bufio.NewWriter(os.Stdout)}
	if r := os.Getenv("FAKE_RELEASE"); r != "" {
		f.release = r
	}
	f.flags()
	f.parse(os.Args[1:])
	f.run()
	f.out.Flush()
}

func (f *fake) die(format string, args ...any) {
	f.out.Flush()
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

// flags reads the releases, and the types and defaults of this release's flags. Each line of
// the file describes a flag of a release.
func (f *fake) flags() {
	self, err := os.Executable()
	var text []byte
	if err == nil {
		text, err = os.ReadFile(filepath.Join(filepath.Dir(self), "flags"))
	}
	if err != nil {
		f.die("%v", err)
	}
	for line := range strings.Lines(string(text)) {
		field := strings.Split(strings.TrimSuffix(line, "\n"), "\t") // release, name, type, default
		if n := len(f.releases); n == 0 || f.releases[n-1] != field[0] {
			f.releases = append(f.releases, field[0])
		}
		if field[0] == f.release {
			f.types[field[1]], f.values[field[1]] = field[2], field[3]
		}
	}
}

// parse parses arguments as gflags 2.2.2 does.
func (f *fake) parse(args []string) {
	types := f.types
	if extra := os.Getenv("FAKE_EXTRA"); extra != "" {
		types[extra], f.values[extra] = "int32", "7"
	}
	if gone := os.Getenv("FAKE_GONE"); gone != "" {
		delete(types, gone)
		delete(f.values, gone)
	}
	for _, name := range []string{"help", "helpxml", "version"} {
		types[name], f.values[name] = "bool", "false"
	}
	var unknown []string
	given := map[string]bool{}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			continue // skip arguments that are not flags
		}
		if arg == "--" {
			break
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		name = strings.ReplaceAll(name, "-", "_")
		typ, ok := types[name]
		if positive, no := strings.CutPrefix(name, "no"); !ok && no && types[positive] == "bool" && !hasValue {
			f.values[positive] = "false"
			continue
		}
		switch {
		case !ok:
			unknown = append(unknown, name)
			continue
		case hasValue:
		case typ == "bool":
			value = "true"
		case i+1 == len(args):
			f.die("ERROR: flag '%s' is missing its argument", arg)
		default:
			i++
			value = args[i]
		}
		f.values[name] = f.value(name, typ, value)
		given[name] = true
	}
	f.config(given)
	if len(unknown) > 0 {
		f.die("ERROR: unknown command line flag '%s'", strings.Join(unknown, "'\nERROR: unknown command line flag '"))
	}
	switch {
	case f.values["helpxml"] == "true":
		f.helpxml(types)
		os.Exit(1)
	case f.values["help"] == "true":
		fmt.Println("nixlbench: Warning: SetUsageMessage() never called")
		os.Exit(1)
	case f.values["version"] == "true":
		fmt.Println("nixlbench")
		os.Exit(0)
	}
}

// config reads the --config_file file. Flags on the command line override it, and unknown keys
// are ignored.
func (f *fake) config(given map[string]bool) {
	name := f.values["config_file"]
	if name == "" {
		return
	}
	var values map[string]any
	text, err := os.ReadFile(name)
	if err == nil {
		err = toml.Unmarshal(text, &values)
	}
	if err != nil {
		f.die("%v", err)
	}
	for name, value := range values {
		if _, ok := f.values[name]; ok && !given[name] {
			f.values[name] = fmt.Sprint(value)
		}
	}
}

// value returns the normalized value of a flag. It fails if the flag's type does not allow the
// value.
func (f *fake) value(name, typ, value string) string {
	ok := true
	switch typ {
	case "bool":
		switch strings.ToLower(value) {
		case "true", "t", "yes", "y", "1":
			value = "true"
		case "false", "f", "no", "n", "0":
			value = "false"
		default:
			ok = false
		}
	case "int32":
		_, err := strconv.ParseInt(value, 0, 32)
		ok = err == nil
	case "uint32", "uint64":
		_, err := strconv.ParseUint(value, 0, 64)
		ok = err == nil
	}
	if !ok {
		f.die("ERROR: illegal value '%s' specified for %s flag '%s'", value, typ, name)
	}
	return value
}

func (f *fake) helpxml(types map[string]string) {
	fmt.Fprint(f.out, "<?xml version=\"1.0\"?>\n<AllFlags>\n<program>nixlbench</program>\n<usage>NIXL Benchmark</usage>\n")
	for _, name := range slices.Sorted(maps.Keys(types)) {
		file := "../src/utils/utils.cpp"
		if name == "help" || name == "helpxml" || name == "version" {
			file = "/build/gflags-2.2.2/src/gflags_reporting.cc"
		}
		text := func(s string) string {
			var b strings.Builder
			xml.EscapeText(&b, []byte(s))
			return b.String()
		}
		fmt.Fprintf(f.out, "<flag><file>%s</file><name>%s</name><meaning>%s</meaning><default>%s</default><current>%[4]s</current><type>%[5]s</type></flag>\n",
			file, name, text("about "+name), text(f.values[name]), types[name])
	}
	fmt.Fprint(f.out, "</AllFlags>\n")
	f.out.Flush()
}

func (f *fake) number(name string) int64 {
	n, _ := strconv.ParseInt(f.values[name], 0, 64)
	return n
}

// The since method reports whether the release is r or later.
func (f *fake) since(r string) bool {
	return slices.Index(f.releases, f.release) >= slices.Index(f.releases, r)
}

// fault reports whether the fake should misbehave in the given way.
func (f *fake) fault(name string) bool {
	if flag, value, ok := strings.Cut(os.Getenv("FAKE_WHEN"), "="); ok && f.values[flag] != value {
		return false
	}
	return os.Getenv("FAKE_FAULT") == name
}

// check rejects the values that the release rejects, with the same messages.
func (f *fake) check() {
	block, batch, total := f.number("max_block_size"), f.number("max_batch_size"), f.number("total_buffer_size")
	threads, initiators, targets := f.number("num_threads"), f.number("num_initiator_dev"), f.number("num_target_dev")
	if block*batch > total/initiators {
		f.die("Incorrect buffer size configuration for Initiator(max_block_size * max_batch_size) is > (total_buffer_size / num_initiator_dev)")
	}
	if block*batch > total/targets {
		f.die("Incorrect buffer size configuration for Target(max_block_size * max_batch_size) is > (total_buffer_size / num_initiator_dev)")
	}
	if f.since("0.5.1") && block*batch > total/threads {
		f.die("Incorrect buffer size configuration (max_block_size * max_batch_size) (%d) is > (total_buffer_size / num_threads) (%d)", block*batch, total/threads)
	}
	if total%(initiators*threads) != 0 {
		f.die("Total_buffer_size must be divisible by the product of num_threads and num_initiator_dev, next such value is %d", total/(initiators*threads)*initiators*threads+initiators*threads)
	}
	if f.since("1.2.0") && f.number("num_iter") < 1 {
		f.die("num_iter must be >= 1")
	}
	if f.values["backend"] == "GDS" && f.values["gds_batch_pool_size"] != "" && batch > f.number("gds_batch_pool_size")*f.number("gds_batch_limit") {
		f.die("GDS batch pool exhausted\npostSlot failed for slot 0: NIXL_ERR_BACKEND")
	}
	if f.since("1.0.0") && f.values["backend"] == "POSIX" && batch > f.number("posix_ios_pool_size") {
		f.die("postSlot failed for slot 0: NIXL_ERR_NOT_ALLOWED")
	}
	f.rules()
}

func (f *fake) run() {
	if f.fault("early") {
		f.die("something is missing")
	}
	f.check()
	if n := f.number("num_iter"); n%16 != 0 {
		fmt.Fprintf(f.out, "WARNING: Adjusting num_iter to %d to allow equal distribution to 1 threads\n", (n+15)/16*16)
	}
	for _, flag := range []string{"obj_secret_key", "azure_blob_connection_string"} { // as the real nixlbench does
		if v := f.values[flag]; v != "" {
			fmt.Fprintf(f.out, "connection string '%s'\n", v)
		}
	}
	f.out.Flush()
	backend := f.values["backend"]
	if slices.Contains([]string{"POSIX", "GDS", "GDS_MT", "HF3FS"}, backend) {
		f.makeFile(backend)
	} else if !f.meet() {
		return // only the initiator prints
	}
	f.failTransfers()
	f.misbehave()
	f.table()
}

// makeFile creates and fills the file that a run leaves behind.
func (f *fake) makeFile(backend string) {
	dir := f.values["filepath"]
	for _, old := range []string{"posix_filepath", "gds_filepath"} {
		if v := f.values[old]; v != "" {
			dir = v
		}
	}
	if f.values["filenames"] != "" {
		for _, name := range strings.Split(f.values["filenames"], ",") {
			f.createFile("Opening", name)
		}
		return
	}
	f.createFile("Creating", filepath.Join(dir, "nixlbench_"+strings.ToLower(backend)+"_test_file_initiator_0"))
}

func (f *fake) createFile(verb, name string) {
	fmt.Fprintf(f.out, "%s file: %s\n", verb, name)
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		f.die("Failed to open file: %s with error: %v\nFailed to create POSIX file", name, err.(*os.PathError).Err)
	}
	f.fill(file)
	file.Close()
}

// meet finds the other process and reports whether this one is the initiator.
func (f *fake) meet() bool {
	if f.values["runtime_type"] != "ASIO" {
		fmt.Fprintf(f.out, "Connecting to ETCD at %s group %s\n", f.values["etcd_endpoints"], f.values["benchmark_group"])
		return f.register()
	}
	address := net.JoinHostPort(f.values["asio_address"], f.values["asio_port"])
	fmt.Fprintf(f.out, "Using address %s for ASIO runtime\n", address)
	f.out.Flush()
	l, err := net.Listen("tcp", address)
	if err != nil {
		if f.fault("target_dies") {
			f.die("target is out of memory")
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			f.die("ASIO Connection failed: %v", err)
		}
		fmt.Fprintln(f.out, "Init nixl worker, dev all rank 1, type target, hostname vm\ntarget is ready")
		f.out.Flush()
		if f.fault("target_stays") {
			time.Sleep(time.Hour)
		}
		io.Copy(io.Discard, conn) // until the initiator is done
		if f.fault("asio_target") {
			f.asioAbort()
		}
		return false
	}
	conn, err := l.Accept()
	if err != nil {
		f.die("%v", err)
	}
	fmt.Fprintln(f.out, "Init nixl worker, dev all rank 0, type initiator, hostname vm")
	// The connection is closed when this process or its peer ends.
	go func() {
		io.Copy(io.Discard, conn)
		os.Exit(1)
	}()
	return true
}

// register takes the next rank in the group, waits for the other processes, and reports
// whether this process is the first. The folder FAKE_ETCD replaces etcd. Without it, the
// rank is FAKE_RANK, or 0 if that is not set.
func (f *fake) register() bool {
	n := f.number("num_initiator_dev") + f.number("num_target_dev")
	if f.values["mode"] != "SG" {
		n = 2
	}
	rank, _ := strconv.ParseInt(os.Getenv("FAKE_RANK"), 10, 64)
	dir := os.Getenv("FAKE_ETCD")
	member := func(i int64) string {
		return filepath.Join(dir, f.values["benchmark_group"], strconv.FormatInt(i, 10))
	}
	if dir != "" {
		os.Mkdir(filepath.Dir(member(0)), 0o755)
		for rank = 0; os.Mkdir(member(rank), 0o755) != nil; rank++ {
			if rank > n {
				f.die("Failed to acquire lock")
			}
		}
	}
	fmt.Fprintf(f.out, "ETCD Runtime: Registered as rank %d item %d of %d\n", rank, rank+1, n)
	f.out.Flush()
	if rank >= n {
		f.die("Rank %d is greater than or equal to global size %d", rank, n)
	}
	for tries := 0; dir != ""; tries++ {
		if _, err := os.Stat(member(n - 1)); err == nil {
			break
		}
		if tries == 1000 {
			f.die("Timeout waiting for the barrier")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if rank > 0 && f.fault("target_dies") {
		f.die("target is out of memory")
	}
	return rank == 0
}

func (f *fake) misbehave() {
	f.odd()
	switch {
	case f.fault("segv"):
		f.out.Flush()
		// Go would print its own report if this process itself crashed.
		syscall.Exec("/bin/sh", []string{"sh", "-c", "kill -SEGV $$"}, os.Environ())
	case f.fault("hang"):
		f.heading()
		f.out.Flush()
		time.Sleep(time.Hour)
	case f.fault("ignore"):
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		f.heading()
		f.row(f.number("max_block_size"), f.number("max_batch_size"))
		f.out.Flush()
		time.Sleep(time.Hour)
	case f.fault("tell"):
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
		fmt.Fprintln(f.out, "waiting")
		f.out.Flush()
		fmt.Fprintln(f.out, "got", <-signals)
		f.out.Flush()
		os.Exit(0)
	case f.fault("fork"):
		child := exec.Command("sleep", "3600")
		child.Stdout = os.Stdout // the child keeps it open
		child.Start()
		os.WriteFile("fork.pid", fmt.Appendln(nil, child.Process.Pid), 0o644)
	case f.fault("stubborn_child"):
		child := exec.Command("sh", "-c", "trap '' TERM; echo started; sleep 3600")
		out, _ := child.StdoutPipe()
		child.Stderr = os.Stderr // the child keeps it open
		child.Start()
		out.Read(make([]byte, 8)) // after this, the child ignores the signal
		os.WriteFile("fork.pid", fmt.Appendln(nil, child.Process.Pid), 0o644)
		time.Sleep(time.Hour)
	case f.fault("garbage"):
		f.out.WriteString("\x00\xff\xfe\x1b[2J 12 34\n\n5 6\n")
	case f.fault("flood"):
		line := strings.Repeat("x", 1000) + "\n"
		for range 100_000 {
			f.out.WriteString(line)
		}
	case f.fault("layout"):
		f.out.WriteString("\nBlock Size (B)      Batch Size     Speed (Furlongs/Fortnight)\n----\n589824              16             12.5\n")
		f.out.Flush()
		os.Exit(0)
	}
	if d, err := time.ParseDuration(os.Getenv("FAKE_SLEEP")); err == nil {
		time.Sleep(d)
	}
}

// heading prints the heading of the table, as captured from a real run.
func (f *fake) heading() {
	if f.aggregates() {
		fmt.Fprint(f.out, "\nBlock Size (B)      Batch Size     B/W (GB/Sec)   Aggregate B/W (GB/Sec)   Network Util (%)    Avg Lat. (us)  Avg Prep (us)  P99 Prep (us)  Avg Post (us)  P99 Post (us)  Avg Tx (us)    P99 Tx (us)    \n")
	} else if f.since("0.5.1") {
		fmt.Fprint(f.out, "\nBlock Size (B)      Batch Size     B/W (GB/Sec)   Avg Lat. (us)  Avg Prep (us)  P99 Prep (us)  Avg Post (us)  P99 Post (us)  Avg Tx (us)    P99 Tx (us)    \n")
	} else {
		fmt.Fprint(f.out, "\nBlock Size (B)      Batch Size     Avg Lat. (us)  B/W (MiB/Sec)  B/W (GiB/Sec)  B/W (GB/Sec)   \n")
	}
	fmt.Fprintln(f.out, strings.Repeat("-", 80))
}

// row prints a row with the given sizes and the numbers of a captured run.
func (f *fake) row(block, batch int64) {
	bandwidth := "16.925787"
	// Successive rows use the bandwidths in turn, even across runs.
	if list := strings.Split(os.Getenv("FAKE_BANDWIDTHS"), ","); list[0] != "" {
		n, _ := os.ReadFile("count")
		bandwidth = list[len(n)%len(list)]
		os.WriteFile("count", append(n, 'x'), 0o644)
	}
	if v := f.surface(); v != "" {
		bandwidth = v
	}
	bandwidth = f.counted(bandwidth, block)
	if f.aggregates() {
		bandwidth = fmt.Sprintf("%-15s%-25s%-20s", "2.294000", "3.281000", "6.562000")
	}
	if f.fault("reduction") {
		fmt.Fprintln(os.Stderr, "Timeout waiting for reduction contributions (got 1/3 contributions)")
	}
	text := fmt.Sprintf("%-20d%-15d%-15s34.8           33.0           33.0           551.8          849.0          4.0            7.0            ", block, batch, bandwidth)
	switch {
	case !f.since("0.5.1"):
		text = fmt.Sprintf("%-20d%-15d1.89648        296601         289.65         311.009        ", block, batch)
		if f.number("num_iter") < 1 {
			text = fmt.Sprintf("%-20d%-15dinf            0              0              0              ", block, batch)
		}
	case f.fault("inf"):
		text = fmt.Sprintf("%-20d%-15dinf            0.0            33.0           33.0           551.8          849.0          4.0            7.0            ", block, batch)
	}
	if f.fault("torn") {
		f.out.WriteString(text[:40])
		f.out.Flush()
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Minute)
	}
	fmt.Fprintln(f.out, text)
}

func (f *fake) table() {
	f.heading()
	if f.fault("norows") {
		return
	}
	if f.fault("missing") { // the last row
		f.values["max_batch_size"] = strconv.FormatInt(f.number("max_batch_size")-1, 10)
	}
	for block := f.number("start_block_size"); block <= f.number("max_block_size"); block *= 2 {
		for batch := f.number("start_batch_size"); batch <= f.number("max_batch_size"); batch *= 2 {
			f.row(block, batch)
			f.out.Flush()
		}
	}
	f.oddRows()
	if f.fault("late") {
		f.die("exchange failed")
	}
	if f.fault("inconsistent") {
		fmt.Fprintln(os.Stderr, "Consistency check failed for iov 0:0\nConsistency check failed")
	}
}
