package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// load reads settings from command-line arguments, the environment of the test, and a
// YAML text; an empty text is no file.
func load(t *testing.T, yaml string, args ...string) (settings, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if yaml != "" {
		if err := os.WriteFile("tarn.yaml", []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	serveFlags(f)
	f.String("endpoint", "http://127.0.0.1:9000", "a flag of every command")
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	return loadSettings(f)
}

func TestFlagsWinOverEnvironmentOverFile(t *testing.T) {
	cases := []struct {
		kind, name, yaml, env, flag       string
		fromYAML, fromEnv, fromFlag, none any
		field                             func(settings) any
	}{
		{"string", "domain", "file.example", "env.example", "flag.example", "file.example", "env.example", "flag.example", "localhost",
			func(s settings) any { return s.Domain }},
		{"number", "extent-mib", "16", "32", "64", 16, 32, 64, 256, func(s settings) any { return s.ExtentMiB }},
		{"duration", "drive-timeout", "1s", "3s", "4s", time.Second, 3 * time.Second, 4 * time.Second, 2 * time.Second,
			func(s settings) any { return s.DriveTimeout }},
		{"bool", "insecure", "true", "false", "true", true, false, true, false, func(s settings) any { return s.Insecure }},
		{"list", "drives", "[/f 1, /f2]", "/e 1,/e2", "/a 1,/a2", []string{"/f 1", "/f2"}, []string{"/e 1", "/e2"}, []string{"/a 1", "/a2"},
			[]string(nil), func(s settings) any { return s.Drives }},
		{"list with labels", "drives", "[{path: /f1, zone: a, rack: 7}, /f2]", "/e1", "node=n:/a1", []string{"zone=a:rack=7:/f1", "/f2"}, []string{"/e1"}, []string{"node=n:/a1"},
			[]string(nil), func(s settings) any { return s.Drives }},
		{"list as text", "drives", "/f1, /f2", "/e1", "/a1", []string{"/f1", "/f2"}, []string{"/e1"}, []string{"/a1"},
			[]string(nil), func(s settings) any { return s.Drives }},
	}
	for _, c := range cases {
		t.Run(c.kind, func(t *testing.T) {
			check := func(want any, yaml string, args ...string) {
				t.Helper()
				s, err := load(t, yaml, args...)
				if got := c.field(s); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%s is %#v, %v, want %#v", c.name, got, err, want)
				}
			}
			yaml := c.name + ": " + c.yaml + "\n"
			check(c.none, "")
			check(c.fromYAML, yaml)
			t.Setenv("TARN_"+strings.ToUpper(strings.ReplaceAll(c.name, "-", "_")), c.env)
			check(c.fromEnv, yaml)
			check(c.fromFlag, yaml, "--"+c.name+"="+c.flag)
		})
	}
}

func TestNamedConfigFileIsRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "other.conf")
	if err := os.WriteFile(name, []byte("region: eu-north-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := load(t, "region: us-west-1\n", "--config", name); err != nil || s.Region != "eu-north-1" {
		t.Errorf("by flag: region %q, %v", s.Region, err)
	}
	t.Setenv("TARN_CONFIG", name)
	if s, err := load(t, "region: us-west-1\n"); err != nil || s.Region != "eu-north-1" {
		t.Errorf("by environment: region %q, %v", s.Region, err)
	}
}

func TestBadSettingsAreNamed(t *testing.T) {
	cases := []struct{ name, yaml, args string }{
		{"no-such-thing", "no-such-thing: 1", ""},
		{"nested", "nested:\n  listen: 127.0.0.1:1", ""},
		{"endpoint", "endpoint: http://127.0.0.1:1", ""}, // a flag of the clients, not of serve
		{"config", "config: other.yaml", ""},
		{"config", "listen: [unclosed", ""},
		{"config", "", "--config=/no/such/file.yaml"},
		{"listen", "listen: 9000", ""},
		{"listen", "listen: [a, b]", ""},
		{"listen", "", "--listen=0.0.0.0:9000"},
		{"listen", "", "--listen=:9000"},
		{"domain", "domain: [a]", ""},
		{"domain", "domain:\n  a: b", ""},
		{"data-shards", "data-shards: 4x", ""},
		{"data-shards", "data-shards: 2.5", ""},
		{"data-shards", "", "--data-shards=33"},
		{"parity-shards", "", "--parity-shards=-1"},
		{"extent-mib", "extent-mib: many", ""},
		{"extent-mib", "", "--extent-mib=7"},
		{"extent-mib", "", "--extent-mib=1025"},
		{"vector-memory-mib", "", "--vector-memory-mib=15"},
		{"vector-ranking", "", "--vector-ranking=default"},
		{"vector-ranking", "vector-ranking: int8", ""},
		{"drive-timeout", "drive-timeout: 2", ""},
		{"drive-timeout", "", "--drive-timeout=1ms"},
		{"shutdown-grace", "shutdown-grace: soon", ""},
		{"shutdown-grace", "", "--shutdown-grace=-1s"},
		{"insecure", "insecure: maybe", ""},
		{"drives", "drives: [1, 2]", ""},
		{"drives", "drives: {a: b}", ""},
		{"drives", "drives: [{zone: a}]", ""},
		{"drives", "drives: [{path: /a, shelf: b}]", ""},
		{"drives", "", "--drives=/a,/b --data-shards=2 --parity-shards=1"},
		{"drives", "", "--drives=/a,/b,/a/../a"},
		{"tls-cert", "", "--tls-cert=a.pem"},
		{"tls-cert", "", "--tls-key=a.pem"},
		{"log-level", "", "--log-level=loud"},
		{"region", "", "--region="},
		{"data", "", "--data="},
	}
	for _, c := range cases {
		_, err := load(t, c.yaml, strings.Fields(c.args)...)
		var setting *settingError
		if !errors.As(err, &setting) || setting.name != c.name || statusOf(err) != statusUsage {
			t.Errorf("%s%s: %v, want an error of setting %s", c.yaml, c.args, err, c.name)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s%s: more than one line: %v", c.yaml, c.args, err)
		}
	}
}

// TestEveryServeFlagIsRead sets each flag to another value and sees it in settings.
func TestEveryServeFlagIsRead(t *testing.T) {
	values := map[string]string{"string": "text", "int": "8", "bool": "true", "duration": "7s", "stringSlice": "/x"}
	special := map[string][]string{
		"listen": {"--listen=127.0.0.1:1"}, "log-level": {"--log-level=debug"},
		"vector-memory-mib": {"--vector-memory-mib=64"}, "vector-ranking": {"--vector-ranking=bytes"},
		"tls-cert": {"--tls-cert=c", "--tls-key=k"}, "tls-key": {"--tls-cert=c", "--tls-key=other"},
	}
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	serveFlags(f)
	fields := 0
	f.VisitAll(func(flag *pflag.Flag) {
		if flag.Name == "config" { // TestNamedConfigFileIsRead
			return
		}
		fields++
		args := special[flag.Name]
		if args == nil {
			args = []string{"--" + flag.Name + "=" + values[flag.Value.Type()]}
		}
		var before []string
		if flag.Name == "tls-key" {
			before = []string{"--tls-cert=c", "--tls-key=k"}
		}
		a, err := load(t, "", before...)
		b, err2 := load(t, "", args...)
		if err != nil || err2 != nil || reflect.DeepEqual(a, b) {
			t.Errorf("--%s is not read: %v, %v", flag.Name, err, err2)
		}
	})
	if n := reflect.TypeFor[settings]().NumField(); n != fields {
		t.Errorf("settings has %d fields, serve has %d flags besides --config", n, fields)
	}
}

func TestDrivesOfItsOwnAreAsManyAsAStripeHasShards(t *testing.T) {
	data := t.TempDir()
	s := settings{Data: data}
	if paths, own := s.folders(); len(paths) != 6 || !own {
		t.Errorf("%v, %v", paths, own)
	}
	for _, name := range []string{"drive-1", "drive-7"} { // one was adopted, others vanished
		if err := os.Mkdir(filepath.Join(data, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if paths, _ := s.folders(); len(paths) != 7 {
		t.Errorf("the seventh is forgotten: %v", paths)
	}
	s.Drives = []string{"/a"}
	if paths, own := s.folders(); len(paths) != 1 || own {
		t.Errorf("%v, %v", paths, own)
	}
}
