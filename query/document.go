package query

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	"annals/internal/problem"

	"github.com/danielgtaylor/huma/v2"
)

const (
	openAPIJSON = "application/openapi+json"
	openAPIYAML = "application/openapi+yaml"
)

// document is the OpenAPI document in its three forms. They are made when they
// are first asked for: by then every door has added its operations.
type document struct {
	once             sync.Once
	json, yaml, html []byte
	err              error
}

func (a *API) documented() (*document, error) {
	d := &a.document
	d.once.Do(func() {
		open := a.huma.OpenAPI()
		if d.json, d.err = open.MarshalJSON(); d.err != nil {
			return
		}
		if d.yaml, d.err = open.YAML(); d.err != nil {
			return
		}
		d.html, d.err = docsPage(open)
	})
	return d, d.err
}

func (a *API) openAPI(w http.ResponseWriter, r *http.Request, _ *filter) error {
	d, err := a.documented()
	if err != nil {
		return err
	}
	if path.Ext(r.URL.Path) == ".yaml" {
		return write(w, openAPIYAML, d.yaml)
	}
	return write(w, openAPIJSON, d.json)
}

func (a *API) docs(w http.ResponseWriter, _ *http.Request, _ *filter) error {
	d, err := a.documented()
	if err != nil {
		return err
	}
	// The page has no script and loads nothing, and is held to it.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	return write(w, "text/html; charset=utf-8", d.html)
}

//go:embed docs.html
var docsHTML string

var docsTemplate = template.Must(template.New("docs").Parse(docsHTML))

// described is an operation as the page shows it.
type described struct {
	Path string
	*huma.Operation
}

func docsPage(open *huma.OpenAPI) ([]byte, error) {
	var operations []described
	for p, item := range open.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil {
				operations = append(operations, described{p, op})
			}
		}
	}
	slices.SortFunc(operations, func(x, y described) int {
		return strings.Compare(x.Path+x.Method, y.Path+y.Method)
	})
	type row struct {
		Code problem.Code
		problem.Row
	}
	var rows []row
	for c, r := range problem.Rows() {
		rows = append(rows, row{c, r})
	}
	var b bytes.Buffer
	err := docsTemplate.Execute(&b, struct {
		Info       *huma.Info
		Operations []described
		Problems   []row
	}{open.Info, operations, rows})
	return b.Bytes(), err
}
