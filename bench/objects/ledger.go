package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
)

// ledger is what the server says that it wrote to extents, by class of records.
type ledger struct {
	written, records, syncs map[string]float64 // bytes; records; syncs
}

// classes in the order in which they are shown.
var classes = []string{"small", "joint", "journal", "stripe", "zeros"}

var ledgerLine = regexp.MustCompile(`^tarn_drive_(written_bytes|written_records|syncs)_total\{class="(\w+)"\} (\S+)$`)

// ledger asks for the server's metrics.
func (s *store) ledger() (ledger, error) {
	l := ledger{map[string]float64{}, map[string]float64{}, map[string]float64{}}
	token, err := s.token()
	if err != nil {
		return l, fmt.Errorf("make a token: %w", err)
	}
	request, err := http.NewRequest(http.MethodGet, "http://"+s.address+"/_/metrics", nil)
	if err != nil {
		return l, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return l, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return l, fmt.Errorf("metrics: %s", answer.Status)
	}
	return l, l.read(answer.Body)
}

func (l ledger) read(metrics io.Reader) error {
	lines := bufio.NewScanner(metrics)
	for lines.Scan() {
		m := ledgerLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		n, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return fmt.Errorf("metric %q: %w", lines.Text(), err)
		}
		map[string]map[string]float64{"written_bytes": l.written, "written_records": l.records, "syncs": l.syncs}[m[1]][m[2]] = n
	}
	return lines.Err()
}

func (s *store) token() (string, error) {
	command := exec.Command(s.binary, "key", "token")
	command.Env = append(os.Environ(), "TARN_ENDPOINT=http://"+s.address, "TARN_ACCESS_KEY="+benchKeys.access, "TARN_SECRET_KEY="+benchKeys.secret)
	out, err := command.Output()
	return string(bytes.TrimSpace(out)), err
}

// rows show what was written between two looks, each byte of payload.
func (l ledger) rows(now ledger, payload float64) (text string) {
	for _, c := range classes {
		n, records, syncs := now.written[c]-l.written[c], now.records[c]-l.records[c], now.syncs[c]-l.syncs[c]
		text += fmt.Sprintf("| %s | %.2f × | %.0f | %.1f |\n", c, n/payload, n/max(records, 1), records/max(syncs, 1))
	}
	return text
}
