package show

import (
	"fmt"
	"strings"
	"time"

	"annals/cmd/annals/internal/client"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// amendments prints what amends a record, and its present state.
func amendments(b *strings.Builder, i *client.Item) error {
	if len(i.Amendments) == 0 {
		return nil
	}
	fmt.Fprintf(b, "\namended %s, last at %s\n", times(len(i.Amendments), i.More), i.ModifiedAt.Format(time.RFC3339Nano))
	for n := range i.Amendments {
		a := &i.Amendments[n]
		var said struct {
			Actor struct {
				ID   string `json:"id"`
				Name string `json:"name"`
			} `json:"actor"`
			Reason struct {
				Code       string `json:"code"`
				Details    string `json:"details"`
				Commentary string `json:"commentary"`
			} `json:"reason"`
			Data jsontext.Value `json:"data"`
		}
		who := "its payload is erased"
		if a.Record != nil {
			if err := json.Unmarshal(a.Record, &said); err != nil {
				return err
			}
			who = strings.TrimSpace(said.Actor.Name + " " + said.Actor.ID)
		}
		fmt.Fprintf(b, "  %s  %s  %s\n", a.RecordedAt.Format(time.RFC3339Nano), a.ULID, Clean(who))
		for _, text := range []string{said.Reason.Code, said.Reason.Details, said.Reason.Commentary, string(said.Data)} {
			if text != "" {
				fmt.Fprintf(b, "    %s\n", Clean(text))
			}
		}
	}
	if i.Present == nil {
		return nil
	}
	shown, err := Indent(i.Present)
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "\npresent data\n%s\n", shown)
	return nil
}

func times(n int, more bool) string {
	switch {
	case more:
		return fmt.Sprintf("more than %d times", n)
	case n == 1:
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
