package cli

// growStack makes the stack of the calling goroutine large enough for most commands.
// Otherwise, the stack would grow in steps and be copied at each step, which takes 1% of
// the time of a plan.
//
//go:noinline
func growStack(unused int) byte {
	if unused == 0 {
		return 0
	}
	var room [stackRoom]byte
	room[unused] = 1
	return room[unused/2]
}

const stackRoom = 32 << 10
