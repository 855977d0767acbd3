// Package access says who may do what: tokens, what they name, and the one
// decision that every door asks for.
//
// The rule it exists for: what a request may see is settled by its token and by
// the words of its path, before anything of the ledger is looked at. So a refusal
// can't tell what there is: another workspace is answered like one that doesn't
// exist, in the same words and after the same work. A scope that is missing is
// said plainly (403), for it tells of the token alone; who is unknown is told so
// (401), and nothing more.
//
// A [Gate] finds out who asks: [Gate.Authenticate] makes a [Principal] of a
// request's bearer token (RFC 6750). [Principal.Authorize] decides. API keys are in
// a [Book], by their SHA-256 alone.
package access
