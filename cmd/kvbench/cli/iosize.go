package cli

// iosizeCmd shows the size of one I/O. The default page size is one token.
func (a *app) iosizeCmd() *command {
	flags := a.commonFlags()
	for _, f := range flags {
		if f.name == pageField {
			f.def = "1"
		}
	}
	return &command{
		name:  "iosize",
		short: "Show the size of one I/O, for a page of one token by default",
		flags: flags,
		exec:  a.showView,
	}
}
