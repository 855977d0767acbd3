package projections

import "context"

type paceKey struct{}

// WithPace returns a context whose questions call pace between pieces of work, each some
// hundred rows long: whoever answers many at once has them take turns there. Its error
// ends the search. What is asked for with another context goes on until it is done.
func WithPace(ctx context.Context, pace func() error) context.Context {
	return context.WithValue(ctx, paceKey{}, pace)
}

// paceOf is what a context's questions call; where it names nothing they look whether it
// has ended.
func paceOf(ctx context.Context) func() error {
	if pace, ok := ctx.Value(paceKey{}).(func() error); ok {
		return pace
	}
	return ctx.Err
}
