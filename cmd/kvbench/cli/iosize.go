package cli

// iosizeCmd shows the size of one I/O. The default page size is one token.
func (a *app) iosizeCmd() *command {
	return &command{
		name:  "iosize",
		short: "Show the size of one I/O, for a page of one token by default",
		flags: a.commonFlags(),
		exec:  a.showView,
	}
}
