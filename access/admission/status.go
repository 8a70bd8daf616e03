package admission

// Status is a Gate at one moment.
type Status struct {
	Limit   int // units that may be at work at once
	Working int // units at work
	Open    int // requests admitted and not done
	Classes []ClassStatus
}

// ClassStatus is one class of a Status.
type ClassStatus struct {
	Class    Class
	Working  int // units
	Waiting  int // requests
	Admitted uint64
	Refused  uint64
}

// Status of the gate now. That of a nil Gate is empty.
func (g *Gate) Status() Status {
	if g == nil {
		return Status{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Status{Limit: int(g.limit.value), Working: g.working(), Open: g.open}
	for class := range classes {
		s.Classes = append(s.Classes, ClassStatus{
			Class: class, Working: g.busy[class], Waiting: g.lanes[class].n,
			Admitted: g.admits[class], Refused: g.refused[class],
		})
	}
	return s
}
