package jsonl

// maxMemory is the maximum size, in bytes, of what a reader remembers.
const maxMemory = 1 << 20

// memory is what a reader remembers about a member of an object that it read earlier. If the
// member's value is an object, this includes the members of that object. Consecutive records
// have most of their text in common, and comparing text is ten times as fast as parsing it.
type memory struct {
	// text is the member's text, including its name, as of the last time it was skipped.
	text []byte
	// members contains the members of the value, keyed by name, and first is the first of them.
	members map[string]*memory
	first   *memory
	// next is the member that followed this one.
	next *memory
}

// Remember makes the reader remember the members that it skips. If a member with the same text
// is at the same place in JSON read later, the reader skips it without calling the function
// passed to [Reader.Object]. Whether that function reads a member must therefore depend only on
// the member's place and text, and the function must have no side effects if it does not read
// the member.
func (r *Reader) Remember() {
	r.root, r.room = &memory{}, maxMemory
	r.memory = r.root
}

// If the next member has the same text as when it was last skipped, repeats skips it and returns
// true.
func (r *Reader) repeats(m *memory) bool {
	if m == nil || m.text == nil {
		return false
	}
	end := r.at + len(m.text)
	// A number is complete only if another character follows.
	if end >= len(r.text) || r.text[end] != ',' && r.text[end] != '}' || string(r.text[r.at:end]) != string(m.text) {
		return false
	}
	r.at = end
	return true
}

// member returns what r remembers about a member of an object, or nil if there is no room for
// it.
func (r *Reader) member(of *memory, name []byte) *memory {
	if of == nil {
		return nil
	}
	m := of.members[string(name)]
	if size := 100 + 2*len(name); m == nil && size <= r.room {
		if of.members == nil {
			of.members = map[string]*memory{}
		}
		m = &memory{}
		of.members[string(name)] = m
		r.room -= size
	}
	return m
}

// keep remembers the text of a member, if there is room for it.
func (r *Reader) keep(m *memory, text []byte) {
	if grown := len(text) - cap(m.text); grown > 0 {
		if grown > r.room {
			return
		}
		r.room -= grown
		m.text = make([]byte, 0, len(text))
	}
	m.text = append(m.text[:0], text...)
}
