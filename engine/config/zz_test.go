package config_test
import ("testing";"os";"runtime/pprof";"time")
func TestZZ(t *testing.T) {
	_, l := loader(t)
	f,_ := os.Create("/tmp/cpu.prof")
	pprof.StartCPUProfile(f)
	go func(){ time.Sleep(6*time.Second); pprof.StopCPUProfile(); f.Close(); os.Exit(0)}()
	if m := os.Getenv("ZZMODEL"); m != "" { _, err := l.Model(m, nil); t.Log(err) } else {
	_, err := l.Config(os.Getenv("ZZ"), nil, "", nil)
	t.Log(err) }
	pprof.StopCPUProfile(); f.Close()
}
