package standin

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The functions in this file imitate undocumented behavior observed in the real
// nixlbench.

func (f *fake) onFiles() bool {
	return slices.Contains([]string{"POSIX", "GDS", "GDS_MT", "HF3FS"}, f.values["backend"])
}

// crash ends the process with a signal.
func (f *fake) crash(signal string) {
	f.out.Flush()
	syscall.Exec("/bin/sh", []string{"sh", "-c", "kill -" + signal + " $$"}, os.Environ())
}

// The rules method ends the process if the release would fail before it creates anything.
func (f *fake) rules() {
	initiators, targets, threads := f.number("num_initiator_dev"), f.number("num_target_dev"), f.number("num_threads")
	network := f.values["backend"] == "UCX"
	asio := network && f.values["runtime_type"] == "ASIO"
	switch {
	case asio && net.ParseIP(f.values["asio_address"]) == nil:
		f.crash("ABRT")
	case network && f.values["scheme"] == "pairwise" && initiators != targets:
		f.crash("SEGV")
	case network && threads > 1 && !f.since("0.5.1"):
		f.crash("SEGV")
	case asio && 24*initiators*f.number("max_batch_size")*max(1, f.number("pipeline_depth"))+80 > 16<<20-1:
		f.die("Runtime message size exceeds 16MB-1 limit")
	case f.values["use_hugepages"] == "true" && f.hugepages() == 0:
		f.die("mmap failed: Cannot allocate memory")
	}
}

func (f *fake) hugepages() int {
	data, _ := os.ReadFile("/proc/sys/vm/nr_hugepages")
	n, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	return n
}

// failTransfers ends the process, or hangs, if the release would do so while transferring
// blocks, after filling its files.
func (f *fake) failTransfers() {
	if !f.onFiles() || !f.since("0.5.1") {
		return
	}
	workers, files := f.number("num_threads")*f.number("num_initiator_dev"), f.number("num_files")
	depth, total := max(1, f.number("pipeline_depth")), f.number("total_buffer_size")
	direct, api := f.values["storage_enable_direct"] == "true", f.values["posix_api_type"]
	pieces, piece := workers/files, total/workers
	if direct {
		piece = (piece + 4095) / 4096 * 4096
	}
	for block := f.number("start_block_size"); block <= f.number("max_block_size"); block *= 2 {
		if direct && f.values["backend"] == "POSIX" && api != "AIO" && block%512 != 0 {
			f.die("IO operation failed: Invalid argument")
		}
		for batch := f.number("start_batch_size"); batch <= f.number("max_batch_size"); batch *= 2 {
			blocks := batch * depth * pieces
			for end := piece; end < blocks*block; end += piece {
				if end%block != 0 || end >= pieces*piece {
					f.die("createXferReq failed: NIXL_ERR_NOT_FOUND")
				}
			}
			if f.values["randomize_location_mode"] == "bytealigned" {
				if blocks == 1 {
					f.die("Assertion `max_offset_in_blocks > 0' failed.")
				} else if workers > 1 {
					f.die("createXferReq failed: NIXL_ERR_NOT_FOUND")
				}
			}
			if api != "URING" || f.values["backend"] != "POSIX" {
				continue
			}
			if !f.since("1.0.0") {
				if batch > 32768 {
					f.die("Failed to initialize io_uring instance: Invalid argument")
				}
				continue
			}
			entries := int64(16)
			for entries < min(f.number("posix_kernel_queue_size"), 1024) {
				entries *= 2
			}
			if min(batch, 64) > entries {
				f.die("Failed to get io_uring submission queue entry\npostSlot failed for slot 0: NIXL_ERR_BACKEND")
			}
			if batch*depth*workers > 2*entries {
				signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
				time.Sleep(time.Hour)
			}
		}
	}
}

// counted returns the bandwidth to print. This bandwidth is too low if nixlbench moves
// more data than it counts.
func (f *fake) counted(bandwidth string, block int64) string {
	initiators, targets := f.number("num_initiator_dev"), f.number("num_target_dev")
	factor := 1.0
	switch f.values["scheme"] {
	case "onetomany":
		factor = float64(initiators * targets)
	case "manytoone":
		factor = float64(initiators)
	case "tp":
		factor = float64(initiators * max(1, targets/initiators))
	}
	if depth := f.number("pipeline_depth"); depth > 1 {
		threads, divisor := f.number("num_threads"), f.number("large_blk_iter_ftr")
		round := threads * divisor
		n := (f.number("num_iter") + round - 1) / round * round / threads
		if block > 1<<20 {
			n /= divisor
		}
		if depth > n {
			fmt.Fprintf(f.out, "Warning: pipeline_depth (%d) exceeds num_iter (%d), capping to %d\n", depth, n, n)
			factor *= float64(depth) / float64(n)
		}
	}
	if factor == 1 {
		return bandwidth
	}
	v, _ := strconv.ParseFloat(bandwidth, 64)
	return strconv.FormatFloat(v/factor, 'f', 6, 64)
}

// aggregates reports whether rows contain the aggregate bandwidth of all initiators, as
// in runs of more than two processes.
func (f *fake) aggregates() bool {
	return f.values["backend"] == "UCX" && f.values["mode"] == "SG" && f.number("num_initiator_dev")+f.number("num_target_dev") > 2 && f.since("0.5.1")
}

// fill writes the content that a run leaves in a file. Reads reuse an existing file that
// is long enough.
func (f *fake) fill(file *os.File) {
	reads, size := f.values["op_type"] == "READ", f.number("total_buffer_size")
	info, err := file.Stat()
	if err == nil && reads && f.since("0.5.1") && info.Size() >= size/f.number("num_files") {
		first := make([]byte, 1)
		file.ReadAt(first, 0)
		if f.values["check_consistency"] == "true" && first[0] != 'p' {
			f.die("Consistency check failed")
		}
		return
	}
	content := "w"
	if reads {
		content = "p"
	}
	file.WriteAt([]byte(content), 0)
	file.Truncate(size)
}
