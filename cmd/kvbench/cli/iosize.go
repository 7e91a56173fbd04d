package cli

// iosizeCmd shows the size of one IO, of a page of one token unless a page
// size is given.
func (a *app) iosizeCmd() *command {
	return &command{
		name:  "iosize",
		short: "Show the bytes of one IO for a page of one token",
		long:  "The configuration file's page size does not count here: --page_size does.",
		flags: a.commonFlags(),
		exec:  a.showView,
	}
}
