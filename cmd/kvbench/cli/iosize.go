package cli

// iosizeCmd shows the size of one I/O, of a page of one token unless a page
// size is given.
func (a *app) iosizeCmd() *command {
	return &command{
		name:  "iosize",
		short: "Show the bytes of one I/O for a page of one token",
		flags: a.commonFlags(),
		exec:  a.showView,
	}
}
