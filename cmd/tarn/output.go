package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// table prints rows: aligned columns, or JSON objects with the columns' names in
// lower case, as one array or a line each.
type table struct {
	columns []string
	rows    [][]any
}

func (t *table) add(values ...any) { t.rows = append(t.rows, values) }

func (t *table) print(w io.Writer, output string) error {
	switch output {
	case "json":
		return printJSON(w, t.objects())
	case "jsonl":
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		for _, o := range t.objects() {
			if err := e.Encode(o); err != nil {
				return err
			}
		}
		return nil
	}
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	if len(t.rows) > 0 {
		fmt.Fprintln(tw, strings.Join(t.columns, "\t"))
	}
	for _, row := range t.rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = cell(v)
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}

// objects keep the columns' order by being ordered lists of members.
func (t *table) objects() []object {
	out := make([]object, len(t.rows))
	for i, row := range t.rows {
		out[i] = object{names: t.columns, values: row}
	}
	return out
}

type object struct {
	names  []string
	values []any
}

func (o object) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range o.names {
		if i > 0 {
			b.WriteByte(',')
		}
		v := o.values[i]
		if size, ok := v.(byteCount); ok {
			v = uint64(size)
		}
		value, err := plainJSON(v)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", strings.ReplaceAll(strings.ToLower(name), " ", "_"), value)
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// plainJSON is json.Marshal that leaves <, > and & as they are.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// byteCount prints for people in binary units, and in JSON as a number.
type byteCount uint64

func (n byteCount) String() string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", uint64(n))
	}
	v, i := float64(n)/1024, 0 // 1023.95 would be printed as 1024.0
	for v >= 1023.95 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[i])
}

func cell(v any) string {
	switch v := v.(type) {
	case time.Time:
		return v.Local().Format("2006-01-02 15:04:05")
	case bool:
		if v {
			return "yes"
		}
		return "-"
	case float64:
		return fmt.Sprintf("%.4g", v)
	case nil:
		return "-"
	}
	return printable(fmt.Sprint(v))
}

// printable keeps names that others chose from moving the terminal's cursor, or breaking
// the table.
func printable(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r != ' ' && !strconv.IsPrint(r) }) {
		return text
	}
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// progress is a bar on stderr when that is a terminal, and nothing else.
func progress(total int64, about string, bytes bool) *progressbar.ProgressBar {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return progressbar.NewOptions64(total, progressbar.OptionSetWriter(io.Discard))
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetDescription(about),
		progressbar.OptionShowBytes(bytes), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth())
}

// printMessage prints a whole answer as JSON, on one line for jsonl. protojson varies its
// spaces on purpose, so they are set anew.
func printMessage(w io.Writer, output string, m proto.Message) error {
	raw, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if output == "jsonl" {
		err = json.Compact(&b, raw)
	} else {
		err = json.Indent(&b, raw, "", "  ")
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, b.String())
	return err
}
