package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/viper"
)

// reading takes typed settings from wherever viper found them, and keeps the first
// that is not what it should be: a bad value is refused, never guessed at.
type reading struct {
	v   *viper.Viper
	err error
}

func (r *reading) bad(name, format string, args ...any) {
	if r.err == nil {
		r.err = &settingError{name, fmt.Sprintf(format, args...)}
	}
}

// text is a single value: YAML's lists and maps are none.
func (r *reading) text(name string) string {
	switch v := r.v.Get(name).(type) {
	case string:
		return v
	case []any, []string, map[string]any, nil:
		r.bad(name, "needs one value")
		return ""
	default:
		return fmt.Sprint(v)
	}
}

func (r *reading) number(name string) int {
	text := r.text(name)
	n, err := strconv.Atoi(text)
	if err != nil {
		r.bad(name, "%q is not a whole number", text)
	}
	return n
}

func (r *reading) duration(name string) time.Duration {
	text := r.text(name)
	d, err := time.ParseDuration(text)
	if err != nil {
		r.bad(name, "%q is not a duration such as 2s", text)
	}
	return d
}

func (r *reading) truth(name string) bool {
	text := r.text(name)
	b, err := strconv.ParseBool(text)
	if err != nil {
		r.bad(name, "%q is not true or false", text)
	}
	return b
}

// list is a YAML list, or text separated by commas; spaces within an item are its own.
func (r *reading) list(name string) []string {
	var out []string
	add := func(text string) {
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	switch v := r.v.Get(name).(type) {
	case nil:
	case string:
		add(v)
	case []string:
		add(strings.Join(v, ","))
	case []any:
		for _, item := range v {
			text, ok := item.(string)
			if labelled, isMap := item.(map[string]any); isMap && name == "drives" {
				text, ok = r.drive(name, labelled), true
			}
			if !ok {
				r.bad(name, "%v is not text", item)
			}
			add(text)
		}
	default:
		r.bad(name, "%v is not a list", v)
	}
	return out
}

// drive is one of YAML's drives with its labels, such as {path: /mnt/a, zone: a, rack: r1},
// as the flag names it: zone=a:rack=r1:/mnt/a.
func (r *reading) drive(setting string, from map[string]any) string {
	text := ""
	for _, name := range []string{"zone", "rack", "node"} {
		if label, ok := from[name]; ok {
			text += name + "=" + fmt.Sprint(label) + ":"
		}
	}
	path, ok := from["path"].(string)
	if !ok || path == "" {
		r.bad(setting, "%v has no path", from)
	}
	for name := range from {
		if name != "path" && !isLabel(name+"=") {
			r.bad(setting, "%q is not path, zone, rack or node", name)
		}
	}
	return text + path
}
