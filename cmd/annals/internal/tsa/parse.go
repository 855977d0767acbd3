package tsa

import (
	"sync"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"
)

// parsing is held while the libraries parse: pkcs7 counts how deep it is in a variable
// of the package, and several goroutines may ask and judge at once.
var parsing sync.Mutex

// parseAnswer parses an authority's answer (RFC 3161, 2.4.2), and its token.
func parseAnswer(der []byte) (*timestamp.Timestamp, error) {
	parsing.Lock()
	defer parsing.Unlock()
	return timestamp.ParseResponse(der)
}

// parseToken parses a token and checks its own signature.
func parseToken(der []byte) (*timestamp.Timestamp, error) {
	parsing.Lock()
	defer parsing.Unlock()
	return timestamp.Parse(der)
}

// parseCMS parses the CMS SignedData that a token is (RFC 5652, 5).
func parseCMS(der []byte) (*pkcs7.PKCS7, error) {
	parsing.Lock()
	defer parsing.Unlock()
	return pkcs7.Parse(der)
}
