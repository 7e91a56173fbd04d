// Byhand writes the same CSV as the sweep in BenchmarkSweep, using only loops and integer
// arithmetic. Its arguments are the number of page sizes, and the text of the first two
// cells of each row.
package main

import (
	"bufio"
	"log"
	"os"
	"strconv"
)

func main() {
	pages, err := strconv.ParseInt(os.Args[1], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	w := bufio.NewWriterSize(os.Stdout, 1<<16)
	defer w.Flush()
	w.WriteString("model_name,config_file,tp_size,pp_size,kvcache_quant_mode,isl,num_requests,access_pattern,page_size,kv_bytes_per_token,block_size,batch_size\n")
	const layers, rope, latent, elem = 61, 64, 512, 1
	var row []byte
	for tp := int64(1); tp <= 10; tp++ {
		for pp := int64(1); pp <= 10; pp++ {
			for isl := int64(1000); isl <= 10000; isl += 1000 {
				for n := int64(1); n <= 10; n++ {
					for page := int64(16); page <= 16*pages; page += 16 {
						token := int64((rope + latent) * elem * layers)
						block := token * ((layers + pp - 1) / pp) * page / (layers * tp)
						batch := (token*isl*n + block - 1) / block
						row = append(row[:0], os.Args[2]...)
						row = append(strconv.AppendInt(row, tp, 10), ',')
						row = append(strconv.AppendInt(row, pp, 10), ',')
						row = append(row, "fp8,"...)
						row = append(strconv.AppendInt(row, isl, 10), ',')
						row = append(strconv.AppendInt(row, n, 10), ',')
						row = append(row, "block,"...)
						row = append(strconv.AppendInt(row, page, 10), ',')
						row = append(strconv.AppendInt(row, token, 10), ',')
						row = append(strconv.AppendInt(row, block, 10), ',')
						row = append(strconv.AppendInt(row, batch, 10), '\n')
						w.Write(row)
					}
				}
			}
		}
	}
}
