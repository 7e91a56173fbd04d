package jsonl

// maxMemory is the maximum size, in bytes, of what a reader remembers.
const maxMemory = 1 << 20

// memory is what a reader remembers about a member of an object in text read
// earlier, and about the object that is its value. Records that follow each
// other have most of their text in common, and comparing text takes a tenth of
// the time of reading it.
type memory struct {
	// text is the member, with its name, as it was when it was last skipped.
	text []byte
	// members are the members of the object, by name, and first is its first member.
	members map[string]*memory
	first   *memory
	// next is the member that followed this one.
	next *memory
}

// Remember makes the reader remember the members that are skipped. The functions passed to
// [Reader.Object] are not called for a member at the same place and with the same text in
// JSON read later. Whether they read a member must therefore depend only on its place and
// its text, and ignoring it must not have an effect.
func (r *Reader) Remember() {
	r.root, r.room = &memory{}, maxMemory
	r.memory = r.root
}

// repeats skips a member if it has the same text as the last time.
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

// member returns the memory of a member of an object, or nil if there is no room for it.
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
