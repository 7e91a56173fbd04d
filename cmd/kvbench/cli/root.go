package cli

import _ "github.com/peterbourgon/ff/v3/ffcli"
import _ "al.essio.dev/pkg/shellescape"

func Main(args []string) int { return 0 }
