package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// status is what `tarn status -o json` says, as far as the tests look at it.
type status struct {
	Writable           bool
	ParityShards       int               `json:"parity_shards"`
	FailureDomains     int               `json:"failure_domains"`
	BlobsBySpareShards map[string]string `json:"blobs_by_spare_shards"`
	Warnings           []string
	Drives             []struct {
		Number        int
		Path, State   string
		Journal, View bool
	}
}

func TestNothingAcknowledgedIsLostAfterAKillAndTwoDrives(t *testing.T) {
	s := start(t)
	s.must(t, "mb", "docs")
	c := s.s3()
	acknowledged := map[string][]byte{}
	put := func(n int) error {
		key, body := fmt.Sprintf("o/%04d", n), random(uint64(n), 10+n*n%300_000)
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("docs"), Key: &key, Body: bytes.NewReader(body)})
		if err == nil {
			acknowledged[key] = body
		}
		return err
	}
	for n := range 120 {
		if err := put(n); err != nil {
			t.Fatal(err)
		}
	}
	s.must(t, "index", "create", "docs/points", "--dimension", "4")
	points := filepath.Join(t.TempDir(), "points.jsonl")
	var rows strings.Builder
	for i := range 700 {
		fmt.Fprintf(&rows, `{"key":"p%d","vector":[%d,1,2,3]}`+"\n", i, i)
	}
	if err := os.WriteFile(points, []byte(rows.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.must(t, "put-vectors", points, "docs/points")
	before := s.status(t)
	go func() { // in the midst of more puts
		time.Sleep(300 * time.Millisecond)
		_ = s.cmd.Process.Kill()
	}()
	for n := 120; put(n) == nil; n++ {
	}
	s.ended <- <-s.ended
	lost := loseTwo(t, before)

	s.serve(t)
	c = s.s3()
	for key, body := range acknowledged {
		got, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("docs"), Key: &key})
		if err != nil {
			t.Fatalf("%s, acknowledged, after drives %v were lost: %v", key, lost, err)
		}
		if back, err := io.ReadAll(got.Body); err != nil || !bytes.Equal(back, body) {
			t.Fatalf("%s comes back as %d of %d bytes, %v", key, len(back), len(body), err)
		}
	}
	if got := s.must(t, "index", "ls", "docs", "-o", "jsonl"); !strings.Contains(got, `"vectors":700`) {
		t.Errorf("after the restart: %s", got)
	}
	if got := s.must(t, "query", "docs/points", "--vector", "[650,1,2,3]", "--exact", "-k", "700", "-o", "jsonl"); strings.Count(got, "\n") != 700 {
		t.Errorf("%d of 700 vectors are found", strings.Count(got, "\n"))
	}
	s.must(t, "repair")
	s.whole(t)
}

// loseTwo deletes the drive with the index's view and another one with the journal.
func loseTwo(t *testing.T, st status) (lost []int) {
	t.Helper()
	journal := false
	for _, d := range st.Drives {
		if !d.View && (journal || !d.Journal) {
			continue
		}
		journal = journal || !d.View
		if err := os.RemoveAll(d.Path); err != nil {
			t.Fatal(err)
		}
		lost = append(lost, d.Number)
	}
	if len(lost) != 2 {
		t.Fatalf("chose drives %v of %+v", lost, st.Drives)
	}
	return lost
}

func (s *server) status(t *testing.T) (st status) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.must(t, "status", "--redundancy", "-o", "json")), &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// whole waits until every blob stands the loss of as many drives as it should.
func (s *server) whole(t *testing.T) {
	t.Helper()
	var st status
	for range 120 {
		st = s.status(t)
		well := len(st.BlobsBySpareShards) == 1 && st.BlobsBySpareShards[fmt.Sprint(st.ParityShards)] != ""
		if well {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Errorf("not whole again after a minute: %+v", st)
}

func TestASecondServerOnTheSameDataIsRefused(t *testing.T) {
	s := start(t)
	out, err := exec.CommandContext(t.Context(), s.binary, "serve", "--data", s.data, "--listen", "127.0.0.1:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "drive-1") || !strings.Contains(strings.ToLower(string(out)), "lock") {
		t.Errorf("the second server: %v\n%s", err, out)
	}
	s.must(t, "mb", "still-there")
}

func TestBadSettingsAreOneLineAndStatusTwo(t *testing.T) {
	name := binary(t)
	config := filepath.Join(t.TempDir(), "tarn.yaml")
	if err := os.WriteFile(config, []byte("listen: 127.0.0.1:0\nno-such-setting: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	cases := []struct {
		args []string
		env  string
		want string
	}{
		{[]string{"--listen", "nonsense"}, "", "setting listen"},
		{[]string{"--listen", "0.0.0.0:0"}, "", "--insecure"},
		{[]string{"--data-shards", "-1"}, "", "setting data-shards"},
		{[]string{"--drives", "a,b", "--data-shards", "4", "--parity-shards", "2"}, "", "setting drives"},
		{[]string{"--drive-timeout", "1ns"}, "", "setting drive-timeout"},
		{[]string{"--tls-cert", "none.pem"}, "", "setting tls-cert"},
		{[]string{"--config", config}, "", "no-such-setting"},
		{nil, "TARN_PARITY_SHARDS=many", "setting parity-shards"},
		{nil, "TARN_MASTER_KEY=short", "setting TARN_MASTER_KEY"},
	}
	for _, c := range cases {
		cmd := exec.CommandContext(t.Context(), name, append([]string{"serve", "--data", data}, c.args...)...)
		cmd.Env = append(os.Environ(), "TARN_LISTEN=127.0.0.1:0", c.env)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		err := cmd.Run()
		if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(errs.String(), c.want) || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%v %s: %v, want status 2 and one line that says %q:\n%s", c.args, c.env, err, c.want, errs.String())
		}
	}
}

func TestTheServerStopsSoonAndComesBack(t *testing.T) {
	s := start(t)
	s.must(t, "mb", "docs")
	if took := s.stop(t); took > 5*time.Second {
		t.Errorf("SIGTERM took %v", took)
	}
	s.serve(t)
	if got := s.must(t, "ls"); !strings.Contains(got, "docs") {
		t.Errorf("after the restart: %s", got)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	s := start(t)
	s.must(t, "mb", "docs")
	s.must(t, "index", "create", "docs/points", "--dimension", "2", "--recall", "0.9")
	s.must(t, "index", "describe", "docs/points") // it is in memory
	get := func(path, token string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(body)
	}
	for _, path := range []string{"/_/livez", "/_/readyz"} {
		if code, body := get(path, ""); code != 200 || body != "ok\n" {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if code, _ := get("/_/metrics", ""); code != 401 {
		t.Errorf("metrics without a token: %d", code)
	}
	if code, body := get("/_/metrics", strings.TrimSpace(s.must(t, "key", "token"))); code != 200 || !strings.Contains(body, "tarn_requests_total") {
		t.Errorf("metrics: %d %.200s", code, body)
	} else if !strings.Contains(body, `tarn_index_recall_target{bucket="docs",index="points"} 0.9`) {
		t.Errorf("metrics do not know the index: %s", body)
	}
	if code, body := get("/_/console/", ""); code != 200 || !strings.Contains(body, "<html") {
		t.Errorf("the console: %d %.200s", code, body)
	}
}

func TestNamedDrivesAreFormattedOnlyByCommand(t *testing.T) {
	dir := t.TempDir()
	var drives []string
	for i := range 3 {
		drives = append(drives, filepath.Join(dir, fmt.Sprintf("disk%d", i)))
		if err := os.Mkdir(drives[i], 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := &server{binary: binary(t), data: filepath.Join(dir, "data")}
	list := strings.Join(drives, ",")
	out, err := exec.CommandContext(t.Context(), s.binary, "serve", "--data", s.data, "--drives", list, "--data-shards", "2", "--parity-shards", "1", "--listen", "127.0.0.1:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "tarn drive format") {
		t.Fatalf("serve over empty named folders: %v\n%s", err, out)
	}
	if out, errs, status := s.tarn(t, "", append([]string{"drive", "format", "--data-shards", "2", "--parity-shards", "1"}, drives...)...); status != 0 {
		t.Fatalf("format: status %d, %s%s", status, out, errs)
	}
	if _, errs, status := s.tarn(t, "", append([]string{"drive", "format", "--data-shards", "2", "--parity-shards", "1"}, drives...)...); status == 0 || !strings.Contains(errs, "not empty") {
		t.Errorf("format once more: status %d, %s", status, errs)
	}
	s.serve(t, "--drives", list)
	s.must(t, "mb", "docs")
	s.must(t, "cp", s.binary, "tarn://docs/some-bytes")
	if st := s.status(t); st.ParityShards != 1 || len(st.Drives) != 3 {
		t.Errorf("status says %+v", st)
	}
	s.stop(t)
	if err := os.RemoveAll(drives[0]); err != nil { // an unmounted disk
		t.Fatal(err)
	}
	s.serve(t, "--drives", list)
	defer s.stop(t)
	if _, err := os.Stat(filepath.Join(drives[0], "header")); err == nil {
		t.Error("a missing drive was formatted silently")
	}
	if got := s.must(t, "ls"); !strings.Contains(got, "docs") {
		t.Errorf("with two of three drives: %s", got)
	}
	s.must(t, "drive", "adopt", drives[0])
	s.must(t, "repair")
	s.whole(t)
}
