package imports

import (
	"crypto/sha256"
	"encoding/hex"

	"annals/activity"
	"annals/activity/face"
	"annals/cmd/annals/internal/catalogue"
)

// Labels are what workspaces' catalogues call types and reasons. As a mapping, they are
// part of what a format makes of bytes: they come from files, and not from a server, whose
// catalogue is another tomorrow.
type Labels struct {
	log    *face.LogLabels
	digest string // SHA-256, in hexadecimal, of all the catalogues' documents
}

// ReadLabels reads the labels of catalogues, as `annals catalogue show` prints them and
// `annals catalogue add` takes them. An error begins with file, line and column.
func ReadLabels(names []string, texts [][]byte) (*Labels, error) {
	var vocabularies []*activity.Vocabulary
	all := sha256.New()
	for i, name := range names {
		file, err := catalogue.Read(name, texts[i])
		if err != nil {
			return nil, err
		}
		whole, err := file.Over(&activity.Overlay{})
		if err != nil {
			return nil, err
		}
		document, err := whole.Document()
		if err != nil {
			return nil, err
		}
		words, err := activity.Own(document)
		if err != nil {
			return nil, err
		}
		vocabularies = append(vocabularies, words)
		digest := sha256.Sum256(document)
		all.Write(digest[:])
	}
	return &Labels{face.LogLabelsOf(vocabularies...), hex.EncodeToString(all.Sum(nil))}, nil
}
