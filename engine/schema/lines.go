package schema

import "bytes"

// maxEntry is how long an entry may be, in bytes, that stays on one line.
const maxEntry = 500

// Lines writes JSON with one entry a line, so that a change of one entry changes
// one line: lists and objects that are longer than an entry may be are broken.
// There is no indentation, which every start would have to read.
func Lines(data []byte) []byte {
	var out bytes.Buffer
	var broken []bool // of each list or object around this place
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

// stringEnd returns the place after a string.
func stringEnd(data []byte, at int) int {
	for at++; data[at] != '"'; at++ {
		if data[at] == '\\' {
			at++
		}
	}
	return at + 1
}

// valueEnd returns the place after a list or an object.
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
