package survival

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// process is a `tarn serve` that is killed and started again.
type process struct {
	t            *testing.T
	binary, data string

	mu     sync.Mutex // held while there is none
	cmd    *exec.Cmd
	client *s3.Client
	log    bytes.Buffer
}

// binaryOf is the program under test: TARN_BINARY, or made for this test.
func binaryOf(t *testing.T) string {
	if name := os.Getenv("TARN_BINARY"); name != "" {
		full, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		return full
	}
	name := filepath.Join(t.TempDir(), "tarn")
	if out, err := exec.Command("go", "build", "-o", name, "github.com/tarnlake/tarn/cmd/tarn").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return name
}

var readyAt = regexp.MustCompile(`^ready .*?(http://127\.0\.0\.1:\d+)`)

// start serves, and returns when it is ready. The caller holds mu.
func (p *process) start() error {
	cmd := exec.Command(p.binary, "serve", "--data", p.data, "--listen", "127.0.0.1:0", "--extent-mib", "8")
	cmd.Env = append(os.Environ(), "TARN_ACCESS_KEY=tester", "TARN_SECRET_KEY=testersecret")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = &p.log
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd = cmd
	url := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if m := readyAt.FindStringSubmatch(lines.Text()); m != nil {
				url <- m[1]
			}
		}
		close(url)
	}()
	select {
	case at := <-url:
		if at == "" {
			return fmt.Errorf("tarn serve ended before it was ready")
		}
		p.client = clientOf(at)
		return nil
	case <-time.After(time.Minute):
		return errors.New("tarn serve was not ready in a minute")
	}
}

// clientOf makes requests once each: a request that is sent again may be applied twice.
func clientOf(url string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(url), Region: "us-east-1", UsePathStyle: true, Retryer: aws.NopRetryer{},
		HTTPClient:  &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
		Credentials: credentials.NewStaticCredentialsProvider("tester", "testersecret", ""),
	})
}

func (p *process) door() door {
	p.mu.Lock()
	defer p.mu.Unlock()
	return protocolDoor{p.client}
}

// kill ends the process on the spot, and starts another.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	if err := p.start(); err != nil {
		p.t.Errorf("start again: %v\n%s", err, p.log.String())
	}
}

func (p *process) pause(d time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(d)
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
}

// move takes a drive's folder away for good, as of a disk that was pulled out.
func (p *process) move(number int) {
	name := fmt.Sprintf("drive-%d", number)
	if err := os.Rename(filepath.Join(p.data, name), filepath.Join(p.data, "away-"+name)); err != nil {
		p.t.Errorf("move a drive away: %v", err)
	}
}

// protocolDoor is a server's S3.
type protocolDoor struct{ c *s3.Client }

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func (d protocolDoor) put(ctx context.Context, key, value string, c condition) (outcome, error) {
	in := &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader(value)}
	if c.absent {
		in.IfNoneMatch = aws.String("*")
	}
	if c.etag != "" {
		in.IfMatch = aws.String(`"` + c.etag + `"`)
	}
	_, err := d.c.PutObject(ctx, in)
	switch code := codeOf(err); {
	case err == nil:
		return applied, nil
	case code == "PreconditionFailed", code == "NoSuchKey" && c.etag != "":
		return refused, nil
	case code == "ConditionalRequestConflict":
		return without, err
	}
	return unknown, err
}

func (d protocolDoor) delete(ctx context.Context, key string) (outcome, error) {
	_, err := d.c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		return unknown, err
	}
	return either, nil
}

func (d protocolDoor) get(ctx context.Context, key string) (string, error) {
	out, err := d.c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
	if codeOf(err) == "NoSuchKey" {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	return string(b), err
}

func (d protocolDoor) list(ctx context.Context) (map[string]string, error) {
	page, err := d.c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	if err != nil {
		return nil, err
	}
	etags := map[string]string{}
	for _, o := range page.Contents {
		etags[*o.Key] = strings.Trim(*o.ETag, `"`)
	}
	return etags, nil
}

// The same of a real process on a real disk: it is killed and paused, and two of
// its drives' folders are taken away.
func TestAServedHistoryIsLinearizableWhileTheProcessIsKilledAndPaused(t *testing.T) {
	seed, rounds, binary := uint64(seedOf(t)), size(1, 40), binaryOf(t)
	for i := range uint64(rounds) {
		servedHistory(t, binary, seed+i).judge(t)
		if t.Failed() {
			return
		}
	}
}

func servedHistory(t *testing.T, binary string, seed uint64) *history {
	p := &process{t: t, binary: binary, data: filepath.Join(t.TempDir(), fmt.Sprintf("data-%d", seed))}
	if err := p.start(); err != nil {
		t.Fatalf("%v\n%s", err, p.log.String())
	}
	defer func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}()
	ctx := context.Background()
	if _, err := p.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	h := &history{seed: seed, pauseMS: 20, door: p.door, failed: map[string]int{}}
	var clients sync.WaitGroup
	for id := range 4 {
		clients.Go(func() { h.client(ctx, id, 2000) })
	}
	kills, pauses := p.nemesis(h, rand.New(rand.NewPCG(seed, 3)))
	h.over.Store(true)
	clients.Wait()
	t.Logf("seed %d: %d requests, %d of unknown fate, %d kills, %d pauses, 2 drives taken away; without effect: %v", seed, len(h.ops), h.unknown, kills, pauses, h.failed)
	return h
}

// nemesis does harm for ten seconds.
func (p *process) nemesis(h *history, r *rand.Rand) (kills, pauses int) {
	away := r.Perm(drivesAll)[:parity]
	end := time.Now().Add(10 * time.Second)
	for step := 0; time.Now().Before(end) && !p.t.Failed(); step++ {
		time.Sleep(time.Duration(200+r.IntN(500)) * time.Millisecond)
		switch {
		case step == 2 || step == 7:
			p.move(away[step/5] + 1)
		case r.IntN(2) == 0:
			kills++
			p.kill()
		default:
			pauses++
			p.pause(time.Duration(50+r.IntN(500)) * time.Millisecond)
		}
	}
	return kills, pauses
}
