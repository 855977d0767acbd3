//go:build !linux

package broker

// Memory returns a folder whose files are in memory and that has room to stage
// batches in; "": this system has none.
func Memory() string { return "" }
