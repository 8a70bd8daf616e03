package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// pushProgress remembers in a file how far a load came, so that one that was cut off goes on there. Rows are
// only counted once the server has them durably; some beyond may be pushed a second time, which replaces
// them by the same.
type pushProgress struct {
	name  string // "": nothing is remembered
	state progressState
	saved time.Time
}

// progressState is the file's content.
type progressState struct {
	File     string    `json:"file"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"`
	Index    string    `json:"index"`
	Rows     int64     `json:"rows"` // from the first on without a gap
}

// progressEvery is how often the file is written at most.
const progressEvery = time.Second

// openProgress reads what an earlier load of the same file into the same index left.
func openProgress(name, file, index string) (*pushProgress, error) {
	if name == "" {
		return &pushProgress{}, nil
	}
	full, err := filepath.Abs(file)
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	info, err := os.Stat(full)
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	p := &pushProgress{name: name, state: progressState{File: full, Bytes: info.Size(), Modified: info.ModTime().UTC(), Index: index}}
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	var old progressState
	if err == nil {
		err = json.Unmarshal(b, &old)
	}
	if err != nil {
		return nil, &usageError{fmt.Sprintf("--progress: %s is not readable as progress: %v", name, err)}
	}
	p.state.Rows = old.Rows
	if old != p.state || old.Rows < 0 {
		return nil, &usageError{fmt.Sprintf("--progress: %s is of %s into %s, of another time or size; remove it to begin anew", name, old.File, old.Index)}
	}
	return p, nil
}

// reached notes rows. Where it cannot be written the load goes on: only its repetition is lost.
func (p *pushProgress) reached(rows int64, now time.Time) {
	if p.name == "" || now.Sub(p.saved) < progressEvery {
		return
	}
	p.saved = now
	_ = p.save(rows)
}

func (p *pushProgress) save(rows int64) error {
	if p.name == "" {
		return nil
	}
	p.state.Rows = rows
	b, err := json.Marshal(p.state)
	if err != nil {
		return err
	}
	draft := p.name + ".part"
	if err := os.WriteFile(draft, b, 0o600); err != nil {
		return fmt.Errorf("keep the progress: %w", err)
	}
	if err := os.Rename(draft, p.name); err != nil {
		return fmt.Errorf("keep the progress: %w", err)
	}
	return nil
}

// done forgets: all is in.
func (p *pushProgress) done() error {
	if p.name == "" {
		return nil
	}
	if err := os.Remove(p.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the progress: %w", err)
	}
	return nil
}
