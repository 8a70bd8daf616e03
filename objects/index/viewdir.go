package index

// ViewDir is the folder of the view that serves; empty while there is none.
func (l *Local) ViewDir() string {
	m, _, err := l.views.current()
	if m == nil || err != nil {
		return ""
	}
	return m.opts.Dir
}
