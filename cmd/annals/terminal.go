package main

import (
	"io"
	"os"
	"time"

	"annals/cmd/annals/internal/show"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// terminal returns the width of w when it is a terminal that understands
// colours, else 0.
func terminal(w io.Writer) (width int, is bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 40 {
		return 80, true
	}
	return width, true
}

// style is how tables look on what the command prints to.
func (a *app) style() show.Style {
	width, is := terminal(a.out)
	return show.Style{Width: width, Colour: is && os.Getenv("NO_COLOR") == ""}
}

// progress shows how far something is, on a terminal only. It counts bytes, or
// entries; total < 0: unknown.
func (a *app) progress(total int64, what string, bytes bool) *progressbar.ProgressBar {
	_, is := terminal(a.err)
	options := []progressbar.Option{
		progressbar.OptionSetWriter(a.err),
		progressbar.OptionSetVisibility(is),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100 * time.Millisecond),
		progressbar.OptionClearOnFinish(),
	}
	if bytes {
		options = append(options, progressbar.OptionShowBytes(true))
	} else {
		options = append(options, progressbar.OptionShowIts(), progressbar.OptionSetItsString("entries"))
	}
	return progressbar.NewOptions64(total, options...)
}
