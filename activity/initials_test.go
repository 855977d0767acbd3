package activity

import "testing"

func TestInitials(t *testing.T) {
	for name, want := range map[string]string{
		"Dana Whitfield":            "DW",
		"dana":                      "D",
		"María del Carmen Ñuñez":    "MÑ",
		"dana.whitfield@example.io": "DW",
		"usr_dana":                  "UD",
		"  ":                        "",
		"":                          "",
		"(bot) sync":                "S",
		"日本 太郎":                     "日太",
		"Dana <img src=x>":          "DS",
		"\u202eDana":                "",
	} {
		if got := Initials(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
