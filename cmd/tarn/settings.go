package main

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/tarnlake/tarn/vectors"
)

// settings of `tarn serve`. A flag wins over its environment variable, that over
// the YAML file.
type settings struct {
	Listen          string
	Data            string
	Drives          []string
	DataShards      int
	ParityShards    int
	Domain          string
	Region          string
	TLSCert, TLSKey string
	Insecure        bool
	LogLevel        string
	DriveTimeout    time.Duration
	MasterKeyFile   string
	ExtentMiB       int
	ShutdownGrace   time.Duration
	AdmissionWait   time.Duration
	StallMax        time.Duration
	VectorMemoryMiB int
	VectorRanking   string
}

// settingError is a bad setting: one line that names it, exit status 2.
type settingError struct{ name, reason string }

func (e *settingError) Error() string { return "setting " + e.name + ": " + e.reason }

func serveFlags(f *pflag.FlagSet) {
	f.String("listen", "127.0.0.1:9000", "address of the one port")
	f.String("data", "./tarn-data", "folder of the credentials and the master key, and of the drives when --drives is not given")
	f.StringSlice("drives", nil, "folders of real drives, separated by commas, with labels where there are: zone=a:rack=r1:node=n1:/mnt/d1")
	f.Int("data-shards", 0, "k: shards of a stripe that hold data (default 4, or what the store has)")
	f.Int("parity-shards", 0, "m: shards of a stripe that may be lost (default 2, or what the store has)")
	f.String("domain", "localhost", "domain under which bucket names are hosts: BUCKET.DOMAIN")
	f.String("region", "us-east-1", "region that the AWS doors name")
	f.String("tls-cert", "", "PEM file with the certificate chain")
	f.String("tls-key", "", "PEM file with the private key")
	f.Bool("insecure", false, "allow a listener beyond loopback without TLS")
	f.String("log-level", "info", "debug, info, warn or error")
	f.Duration("drive-timeout", 2*time.Second, "after which a silent drive is declared down")
	f.String("master-key-file", "", "file of the master key (default DATA/master.key); TARN_MASTER_KEY overrides")
	f.Int("extent-mib", 256, "size of an extent in MiB, 8 to 1024")
	f.Duration("shutdown-grace", 3*time.Second, "how long requests may finish after SIGTERM")
	f.Duration("admission-wait", time.Second, "how long a request may wait for room before it is told to come again")
	f.Duration("stall-max", 30*time.Second, "in which a client must send, or take, something of a body")
	f.Int("vector-memory-mib", 1024, "memory for neighbourhoods of vectors in MiB, 16 to 1048576")
	f.String("vector-ranking", "full", "what decides the order of an answer: full numbers, or bytes, of which a third of the memory holds all (a query may say otherwise)")
	f.String("config", "", "YAML file of settings (default ./tarn.yaml, if there is one)")
}

func loadSettings(f *pflag.FlagSet) (settings, error) {
	v := viper.New()
	v.SetEnvPrefix("TARN")
	v.SetEnvKeyReplacer(strings.NewReplacer("-", "_"))
	v.AutomaticEnv()
	if err := v.BindPFlags(f); err != nil {
		return settings{}, fmt.Errorf("bind flags: %w", err)
	}
	if err := readConfigFile(v); err != nil {
		return settings{}, err
	}
	r := reading{v: v}
	s := settings{
		Listen: r.text("listen"), Data: r.text("data"), Drives: r.list("drives"),
		DataShards: r.number("data-shards"), ParityShards: r.number("parity-shards"),
		Domain: r.text("domain"), Region: r.text("region"),
		TLSCert: r.text("tls-cert"), TLSKey: r.text("tls-key"), Insecure: r.truth("insecure"),
		LogLevel: r.text("log-level"), DriveTimeout: r.duration("drive-timeout"),
		MasterKeyFile: r.text("master-key-file"), ExtentMiB: r.number("extent-mib"),
		ShutdownGrace: r.duration("shutdown-grace"),
		AdmissionWait: r.duration("admission-wait"), StallMax: r.duration("stall-max"),
		VectorMemoryMiB: r.number("vector-memory-mib"), VectorRanking: r.text("vector-ranking"),
	}
	if r.err != nil {
		return s, r.err
	}
	return s, s.check()
}

func readConfigFile(v *viper.Viper) error {
	name := v.GetString("config")
	if name == "" {
		name = "tarn.yaml"
		if _, err := os.Stat(name); err != nil {
			return nil
		}
	}
	v.SetConfigFile(name)
	v.SetConfigType("yaml")
	if err := v.ReadInConfig(); err != nil {
		return &settingError{"config", fmt.Sprintf("%s: %v", name, err)}
	}
	own := pflag.NewFlagSet("serve", pflag.ContinueOnError) // without the flags of every command
	serveFlags(own)
	for _, key := range slices.Sorted(maps.Keys(v.AllSettings())) {
		if key == "config" && v.InConfig(key) {
			return &settingError{key, "cannot stand in the file that it names (" + name + ")"}
		}
		if own.Lookup(key) == nil && v.InConfig(key) {
			return &settingError{key, "is not known (in " + name + "); `tarn serve --help` lists all"}
		}
	}
	return nil
}

func (s *settings) check() error {
	host, _, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return &settingError{"listen", fmt.Sprintf("%q is not HOST:PORT", s.Listen)}
	}
	n := s.DataShards + s.ParityShards // with named drives the store knows better, unless both are given
	switch {
	case s.DataShards < 0 || s.DataShards > 32:
		return &settingError{"data-shards", fmt.Sprintf("%d is not in 1 to 32", s.DataShards)}
	case s.ParityShards < 0 || s.ParityShards > 16:
		return &settingError{"parity-shards", fmt.Sprintf("%d is not in 1 to 16", s.ParityShards)}
	case len(s.Drives) > 0 && s.DataShards > 0 && s.ParityShards > 0 && len(s.Drives) < n:
		return &settingError{"drives", fmt.Sprintf("%d given, but %d+%d needs at least %d", len(s.Drives), s.DataShards, s.ParityShards, n)}
	case s.ExtentMiB < 8 || s.ExtentMiB > 1024:
		return &settingError{"extent-mib", fmt.Sprintf("%d is not in 8 to 1024", s.ExtentMiB)}
	case s.DriveTimeout < 10*time.Millisecond:
		return &settingError{"drive-timeout", fmt.Sprintf("%s is below 10ms", s.DriveTimeout)}
	case s.ShutdownGrace < 0:
		return &settingError{"shutdown-grace", fmt.Sprintf("%s is negative", s.ShutdownGrace)}
	case s.AdmissionWait <= 0:
		return &settingError{"admission-wait", fmt.Sprintf("%s is not above zero", s.AdmissionWait)}
	case s.StallMax < time.Second:
		return &settingError{"stall-max", fmt.Sprintf("%s is below 1s", s.StallMax)}
	case s.VectorMemoryMiB < 16 || s.VectorMemoryMiB > 1<<20:
		return &settingError{"vector-memory-mib", fmt.Sprintf("%d is not in 16 to %d", s.VectorMemoryMiB, 1<<20)}
	case !knownRanking(s.VectorRanking):
		return &settingError{"vector-ranking", fmt.Sprintf("%q is neither full nor bytes", s.VectorRanking)}
	case s.Data == "":
		return &settingError{"data", "names no folder"}
	case s.Region == "":
		return &settingError{"region", "is empty"}
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return &settingError{"tls-cert", "needs tls-key too, and the other way round"}
	case s.TLSCert == "" && !s.Insecure && !loopback(host):
		return &settingError{"listen", fmt.Sprintf("%s lies beyond loopback: give --tls-cert and --tls-key, or --insecure", s.Listen)}
	case logLevels[s.LogLevel] == nil:
		return &settingError{"log-level", fmt.Sprintf("%q is not debug, info, warn or error", s.LogLevel)}
	}
	paths, _, err := splitLabels(s.Drives)
	if err != nil {
		return &settingError{"drives", err.Error()}
	}
	seen := map[string]bool{}
	for _, d := range paths {
		if c := filepath.Clean(d); seen[c] {
			return &settingError{"drives", d + " is named twice"}
		} else {
			seen[c] = true
		}
	}
	return nil
}

func knownRanking(name string) bool {
	_, known := vectors.ParseRanking(name)
	return known
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// shardsDefault is the erasure code of a new store.
var shardsDefault = struct{ data, parity int }{4, 2}

func orElse(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// folders are the drives' folders, and whether Tarn makes them itself: then as many as a
// stripe has shards, or as many as are there already.
func (s *settings) folders() (paths []string, own bool) {
	if len(s.Drives) > 0 {
		paths, _, _ = splitLabels(s.Drives) // they were checked
		return paths, false
	}
	n := orElse(s.DataShards, shardsDefault.data) + orElse(s.ParityShards, shardsDefault.parity)
	for i := 1; ; i++ {
		path := filepath.Join(s.Data, fmt.Sprintf("drive-%d", i))
		if _, err := os.Stat(path); i > n && err != nil {
			return paths, true
		}
		paths = append(paths, path)
	}
}
