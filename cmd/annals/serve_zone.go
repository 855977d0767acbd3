package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"annals/activity"

	"github.com/go-json-experiment/json"
	"github.com/spf13/pflag"
)

// zoneFlags say which time zones workspaces are in.
type zoneFlags struct {
	each []string
	file string
}

func (z *zoneFlags) add(fl *pflag.FlagSet) {
	fl.StringSliceVar(&z.each, "zone", nil, "the time zone of a workspace, `WS=ZONE` such as ws_7=Europe/Berlin: the user activity log writes its dates and times in it; several by commas, or repeated")
	fl.StringVar(&z.file, "zones", "", "a `FILE` with the time zones of many workspaces, {\"ws_7\":\"Europe/Berlin\"}; --zone goes before it")
}

// wanted reads them. A name that is no workspace's or no zone's is an error: times would
// be another day's in silence.
func (z *zoneFlags) wanted() (map[string]*time.Location, error) {
	zones := map[string]*time.Location{}
	if z.file != "" {
		text, err := os.ReadFile(z.file)
		if err != nil {
			return nil, fmt.Errorf("the time zones can't be read: %w", err)
		}
		var named map[string]string
		if err := json.Unmarshal(text, &named); err != nil {
			return nil, fmt.Errorf("%s does not parse, it is one object of workspaces and zones: %w", z.file, err)
		}
		for workspace, zone := range named {
			if err := put(zones, workspace, zone); err != nil {
				return nil, fmt.Errorf("%s: %w", z.file, err)
			}
		}
	}
	given := map[string]*time.Location{}
	for _, pair := range z.each {
		workspace, zone, _ := strings.Cut(pair, "=")
		if _, twice := given[workspace]; twice {
			return nil, usagef("--zone: %s is there twice", workspace)
		}
		if err := put(given, workspace, zone); err != nil {
			return nil, usagef("--zone: %w", err)
		}
		zones[workspace] = given[workspace]
	}
	return zones, nil
}

func put(zones map[string]*time.Location, workspace, zone string) error {
	if !activity.ValidWorkspace(workspace) {
		return fmt.Errorf("%q is no workspace: write WS=ZONE, and a name is 1 to %d of A-Z a-z 0-9 _ -, not beginning with _", workspace, activity.MaxWorkspace)
	}
	at, err := time.LoadLocation(zone)
	if err != nil || zone == "" || zone == "Local" {
		return fmt.Errorf("%q is no IANA time zone of %s; one looks like Europe/Berlin or UTC", zone, workspace)
	}
	zones[workspace] = at
	return nil
}
