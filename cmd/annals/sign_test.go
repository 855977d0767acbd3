package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/proposal"
	"annals/ledger/chain"
)

// TestConfirmTold: what the statements select has to be selected, each entry by one of
// them alone, and what nobody of them selects is counted.
func TestConfirmTold(t *testing.T) {
	var tag chain.Hash
	answer := fmt.Sprintf(`{"tag":%q,"parts":[{"ranges":[[1,5]]},{"ranges":[[7,9]]}]}`, tag)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(answer))
	}))
	defer srv.Close()
	c, err := client.New(srv.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	type ranges [][2]uint64
	for _, tt := range []struct {
		statements []ranges
		later      uint64
		wrong      string
	}{
		{statements: []ranges{{{1, 5}}, {{7, 9}}}},
		{statements: []ranges{{{7, 9}}, {{1, 2}, {3, 5}}}, later: 1},
		{statements: []ranges{{{2, 3}}}, later: 5},
		{statements: []ranges{{{1, 5}}, {{4, 5}}}, wrong: "entry 4 is in two of them"}, // two more are in none
		{statements: []ranges{{{4, 5}, {7, 8}}, {{1, 3}, {7, 9}}}, wrong: "entry 7 is in two of them"},
		{statements: []ranges{{{1, 5}}, {{6, 8}}}, wrong: "entry 6 is not selected"},
	} {
		var statements []chain.Statement
		for _, r := range tt.statements {
			h := chain.Hold{Workspace: tag, Ranges: (&control.Part{Runs: r}).Ranges()}
			statements = append(statements, chain.Statement{Type: chain.ControlHold, Size: 9, Body: h.Append(nil)})
		}
		p, err := proposal.New(proposal.Run{Numbers: 3}, "annals.example/told", proposal.Told{Workspace: "ws_7", Select: "user=u1"}, statements...)
		if err != nil {
			t.Fatal(err)
		}
		later, err := confirmTold(t.Context(), c, p)
		if tt.wrong == "" && (err != nil || later != tt.later) || tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)) {
			t.Errorf("%v: %d and %v, want %d and %q", tt.statements, later, err, tt.later, tt.wrong)
		}
	}
}
