package schema

import "bytes"

// maxEntry is the maximum length, in bytes, of an entry on one line.
const maxEntry = 500

// Lines formats JSON with one entry per line, so that changing one entry changes only one
// line. It splits lists and objects longer than maxEntry. It does not indent, because the
// program would have to read the indentation every time it starts.
func Lines(data []byte) []byte {
	var out bytes.Buffer
	var broken []bool // for each enclosing list or object, whether it is split
	for i := 0; i < len(data); i++ {
		switch c := data[i]; c {
		case '"':
			end := stringEnd(data, i)
			out.Write(data[i:end])
			i = end - 1
		case '{', '[':
			long := valueEnd(data, i)-i > maxEntry
			broken = append(broken, long)
			out.WriteByte(c)
			if long {
				out.WriteByte('\n')
			}
		case '}', ']':
			if broken[len(broken)-1] {
				out.WriteByte('\n')
			}
			broken = broken[:len(broken)-1]
			out.WriteByte(c)
		case ',':
			out.WriteByte(c)
			if broken[len(broken)-1] {
				out.WriteByte('\n')
			}
		default:
			out.WriteByte(c)
		}
	}
	return out.Bytes()
}

// stringEnd returns the offset of the end of the string that begins at offset at.
func stringEnd(data []byte, at int) int {
	for at++; data[at] != '"'; at++ {
		if data[at] == '\\' {
			at++
		}
	}
	return at + 1
}

// valueEnd returns the offset of the end of the list or object that begins at offset at.
func valueEnd(data []byte, at int) int {
	depth := 0
	for {
		switch data[at] {
		case '"':
			at = stringEnd(data, at)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if at++; depth == 0 {
			return at
		}
	}
}
