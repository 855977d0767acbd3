// Package deploy_test starts what an installation is started from: the very files
// that docker-compose.yml mounts, as real processes.
package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// compose is the part of docker-compose.yml that the tests look at.
type compose struct {
	Services map[string]service `yaml:"services"`
	Volumes  map[string]any     `yaml:"volumes"`
}

type service struct {
	Image       string            `yaml:"image"`
	Build       string            `yaml:"build"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Ports       []string          `yaml:"ports"`
	Volumes     []string          `yaml:"volumes"`
	DependsOn   map[string]any    `yaml:"depends_on"`
	Healthcheck map[string]any    `yaml:"healthcheck"`
}

// password is what the tests set ANNALS_NATS_PASSWORD to: a value that the NATS
// server's language would read as a number if the quotes were forgotten.
const password = "123e4"

var variable = regexp.MustCompile(`\$\{([A-Z_]+)(:\?[^}]*)?\}`)

// load reads docker-compose.yml, with its one variable filled in.
func load(t *testing.T) compose {
	t.Helper()
	file, err := os.ReadFile("../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	filled := variable.ReplaceAllStringFunc(string(file), func(s string) string {
		if name := variable.FindStringSubmatch(s)[1]; name != "ANNALS_NATS_PASSWORD" {
			t.Fatalf("docker-compose.yml wants a variable that the tests don't know: %s", name)
		}
		return password
	})
	var c compose
	if err := yaml.Unmarshal([]byte(filled), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// mounts are a service's read-only files: where they are, and where it finds them.
func (s service) mounts() map[string]string {
	m := make(map[string]string)
	for _, v := range s.Volumes {
		if parts := strings.Split(v, ":"); len(parts) == 3 && parts[2] == "ro" {
			m[parts[1]] = filepath.Join("..", parts[0])
		}
	}
	return m
}

func TestCompose(t *testing.T) {
	c := load(t)
	if got := slices.Sorted(maps.Keys(c.Services)); !slices.Equal(got, []string{"annals", "nats-1", "nats-2", "nats-3"}) {
		t.Fatalf("services: %v", got)
	}
	for name, s := range c.Services {
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s publishes %s beyond the loopback", name, p)
			}
		}
		for _, v := range s.Volumes {
			if source, _, _ := strings.Cut(v, ":"); !strings.HasPrefix(source, ".") {
				if _, ok := c.Volumes[source]; !ok {
					t.Errorf("%s uses a volume that is not declared: %s", name, source)
				}
			}
		}
		if name == "annals" {
			continue
		}
		if s.Environment["ANNALS_NATS_NAME"] != name || s.Healthcheck == nil {
			t.Errorf("%s: environment %v, healthcheck %v", name, s.Environment, s.Healthcheck)
		}
		want := map[string]string{"/etc/nats/node.conf": "../deploy/nats/node.conf", "/etc/nats/accounts.conf": "../ingest/broker/accounts.conf"}
		if got := s.mounts(); !maps.Equal(got, want) {
			t.Errorf("%s mounts %v, want %v", name, got, want)
		}
		if !slices.Equal(s.Command, []string{"--config", "/etc/nats/node.conf"}) {
			t.Errorf("%s runs %v", name, s.Command)
		}
		// The version that the server in the binary has, and the tests run.
		if version := natsVersion(t); s.Image != "nats:"+version+"-alpine" {
			t.Errorf("%s is %s, and go.mod has nats-server %s", name, s.Image, version)
		}
		if _, ok := c.Services["annals"].DependsOn[name]; !ok {
			t.Errorf("annals does not wait for %s", name)
		}
		if command := strings.Join(c.Services["annals"].Command, " "); !strings.Contains(command, fmt.Sprintf("nats://annals:%s@%s:4222", password, name)) {
			t.Errorf("annals does not know %s: %s", name, command)
		}
	}
}

func natsVersion(t *testing.T) string {
	t.Helper()
	file, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`nats-io/nats-server/v2 v(\S+)`).FindSubmatch(file)
	if m == nil {
		t.Fatal("go.mod does not name nats-server")
	}
	return string(m[1])
}

// TestDockerfile: static, nobody's root, and able to say how it is.
func TestDockerfile(t *testing.T) {
	file, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CGO_ENABLED=0", "\nUSER 65532:65532\n", `CMD ["/usr/local/bin/annals", "healthcheck"]`, "distroless/static"} {
		if !strings.Contains(string(file), want) {
			t.Errorf("the Dockerfile lacks %q", want)
		}
	}
}
