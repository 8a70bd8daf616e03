package main

import (
	"bytes"
	"testing"
	"time"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
)

func TestOutputsAreStable(t *testing.T) {
	rows := &table{columns: []string{"Name", "Used space", "Since", "Root", "Recall", "Metadata"}}
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	rows.add("a<b>&ü", byteCount(1536), since, true, 0.98765432, metadataCell{map[string]any{"k": "<v>"}})
	rows.add("tab\tand \x1b[31m \"q\"", byteCount(7), nil, false, 1.0, metadataCell{})
	at, err := since.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	const aligned = `Name                   Used space  Since                Root  Recall  Metadata
a<b>&ü                 1.5 KiB     2026-01-02 03:04:05  yes   0.9877  {"k":"<v>"}
tab\tand \x1b[31m "q"  7 B         -                    -     1       null
`
	lines := `{"name":"a<b>&ü","used_space":1536,"since":"` + string(at) + `","root":true,"recall":0.98765432,"metadata":{"k":"<v>"}}
{"name":"tab\tand \u001b[31m \"q\"","used_space":7,"since":null,"root":false,"recall":1,"metadata":null}
`
	whole := `[
  {
    "name": "a<b>&ü",
    "used_space": 1536,
    "since": "` + string(at) + `",
    "root": true,
    "recall": 0.98765432,
    "metadata": {
      "k": "<v>"
    }
  },
  {
    "name": "tab\tand \u001b[31m \"q\"",
    "used_space": 7,
    "since": null,
    "root": false,
    "recall": 1,
    "metadata": null
  }
]
`
	expect := func(rows *table, output, want string) {
		t.Helper()
		var b bytes.Buffer
		if err := rows.print(&b, output); err != nil || b.String() != want {
			t.Errorf("%s:\n%s%v\nwant\n%s", output, b.String(), err, want)
		}
	}
	expect(rows, "table", aligned)
	expect(rows, "jsonl", lines)
	expect(rows, "json", whole)
	none := &table{columns: []string{"Name"}}
	expect(none, "table", "")
	expect(none, "jsonl", "")
	expect(none, "json", "[]\n")
}

func TestMessagesAreWholeJSON(t *testing.T) {
	m := &tarnv1.DeleteKeyRequest{AccessKey: "a<b"}
	for output, want := range map[string]string{"json": "{\n  \"access_key\": \"a<b\"\n}\n", "jsonl": "{\"access_key\":\"a<b\"}\n"} {
		var b bytes.Buffer
		if err := printMessage(&b, output, m); err != nil || b.String() != want {
			t.Errorf("%s: %q, %v", output, b.String(), err)
		}
	}
}

func TestByteCountsAreShort(t *testing.T) {
	for n, want := range map[byteCount]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 1 << 20: "1.0 MiB",
		1<<30 - 1: "1.0 GiB", 5 << 40: "5.0 TiB", 1 << 60: "1.0 EiB", 1<<64 - 1: "16.0 EiB",
	} {
		if got := n.String(); got != want {
			t.Errorf("%d bytes are %q, want %q", uint64(n), got, want)
		}
	}
}
