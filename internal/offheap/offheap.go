// Package offheap is memory beside Go's heap, for what is large, lives long and holds no
// pointers: Go's collector lets its heap grow in proportion to what lives in it, so that
// a cache of a gigabyte there would cost two.
//
// Whoever allocates frees, and looks at nothing after that.
package offheap
