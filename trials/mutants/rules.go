package main

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

// The rules, one a way to protect data. What each takes out:
//
//	sync       a call of Sync, SyncData or SyncDir: nothing becomes durable, and no error comes
//	rename     a call of Rename: the new file does not take the old one's place
//	compare    == or != of a checksum, identity, generation, chain, version or epoch, and Equal of bytes: they always agree
//	order      < and the like between versions, epochs or generations: the refusal that depends on it
//	condition  a precondition of a transaction: it is not demanded
//	guard      a mutation's guard: it always applies
//	holds      an evaluation of conditions: they always hold
//	once       CompareAndSwap: everybody wins
//	pin        what keeps an extent from being reclaimed
//	quorum     the comparison with the number of drives that are needed: there are always enough
const (
	ruleSync      = "sync"
	ruleRename    = "rename"
	ruleCompare   = "compare"
	ruleOrder     = "order"
	ruleCondition = "condition"
	ruleGuard     = "guard"
	ruleHolds     = "holds"
	ruleOnce      = "once"
	rulePin       = "pin"
	ruleQuorum    = "quorum"
)

// finder looks for sites in one function.
type finder struct {
	source   []byte
	set      *token.FileSet
	function string
	found    []*site
}

func (f *finder) look(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ExprStmt:
		f.statement(n)
	case *ast.CallExpr:
		f.call(n)
	case *ast.BinaryExpr:
		f.comparison(n)
	case *ast.KeyValueExpr:
		f.field(n)
	case *ast.ReturnStmt:
		f.verdict(n)
	}
	return true
}

func (f *finder) offset(p token.Pos) int { return f.set.Position(p).Offset }

func (f *finder) text(n ast.Node) string {
	return string(f.source[f.offset(n.Pos()):f.offset(n.End())])
}

func (f *finder) add(rule string, n ast.Node, before, after string) {
	text := strings.Join(strings.Fields(f.text(n)), " ")
	if len(text) > 90 {
		text = text[:87] + "…"
	}
	f.found = append(f.found, &site{
		rule: rule, function: f.function, line: f.set.Position(n.Pos()).Line, text: text,
		wrap: wrap{from: f.offset(n.Pos()), to: f.offset(n.End()), before: before, after: after},
	})
}

// calledName is the last name of what is called.
func calledName(c *ast.CallExpr) string {
	switch fun := c.Fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		return fun.Sel.Name
	}
	return ""
}

var (
	unlessError     = [2]string{"func() error { if mutated(%d) { return nil }; return ", " }()"}
	alwaysTrue      = [2]string{"(mutated(%d) || ", ")"}
	alwaysFalse     = [2]string{"(!mutated(%d) && ", ")"}
	unlessStatement = [2]string{"if !mutated(%d) { ", " }"}
	unlessValue     = [2]string{"unless(%d, ", ")"}
	unlessTicket    = [2]string{"func() uint64 { if mutated(%d) { return 0 }; return ", " }()"}
)

func (f *finder) call(c *ast.CallExpr) {
	switch name := calledName(c); name {
	case "Sync", "SyncData", "SyncDir", "syncDir":
		if name == "syncDir" || len(c.Args) == 0 {
			f.add(ruleSync, c, unlessError[0], unlessError[1])
		}
	case "Rename":
		f.add(ruleRename, c, unlessError[0], unlessError[1])
	case "Equal":
		if pkg := f.text(c.Fun); pkg == "bytes.Equal" || pkg == "slices.Equal" {
			f.add(ruleCompare, c, alwaysTrue[0], alwaysTrue[1])
		}
	case "CompareAndSwap":
		f.add(ruleOnce, c, alwaysTrue[0], alwaysTrue[1])
	case "enter":
		if fun := f.text(c.Fun); strings.HasSuffix(fun, "appends.enter") || strings.HasSuffix(fun, "reads.enter") {
			f.add(rulePin, c, unlessTicket[0], unlessTicket[1])
		}
	case "drained":
		f.add(rulePin, c, alwaysTrue[0], alwaysTrue[1])
	}
}

// statement: a demand upon a transaction, or a pin.
func (f *finder) statement(s *ast.ExprStmt) {
	c, ok := s.X.(*ast.CallExpr)
	if !ok {
		return
	}
	switch name, fun := calledName(c), f.text(c.Fun); {
	case name == "Check" && len(c.Args) == 1:
		f.add(ruleCondition, s, unlessStatement[0], unlessStatement[1])
	case name == "add" && strings.Contains(strings.ToLower(fun), "hold"):
		f.add(rulePin, s, unlessStatement[0], unlessStatement[1])
	case fun == "delete" && len(c.Args) == 2 && keepsFromReclaim(f.text(c.Args[0])):
		f.add(rulePin, s, unlessStatement[0], unlessStatement[1])
	}
}

// keepsFromReclaim: leaving the set of what is dead keeps an extent alive.
func keepsFromReclaim(set string) bool {
	return set == "sealed" || set == "dead" || strings.HasSuffix(set, ".dead") || strings.HasSuffix(set, ".sealed")
}

// Names whose comparison proves that bytes are the right ones.
var (
	provingCall = regexp.MustCompile(`(?i)(^|\.)(sum|stateSum|checksum|sum32|sum64|crc|hash|after|identity|identityOf)$`)
	provingName = regexp.MustCompile(`(?i)^(identity|id|generation|chain|previous|store|drive|version|revision|epoch|crc|sum|checksum|applied|records)$`)
	quorumName  = regexp.MustCompile(`^(need|needed|copies)$`)
	orderedName = regexp.MustCompile(`(?i)(version|epoch|generation|reserved|acknowledged|proven|applied)$`)
)

func (f *finder) comparison(b *ast.BinaryExpr) {
	switch b.Op {
	case token.EQL, token.NEQ:
		if trivial(b.X) || trivial(b.Y) || counting(b.X) || counting(b.Y) || !(proving(b.X) || proving(b.Y)) {
			return
		}
		if b.Op == token.EQL {
			f.add(ruleCompare, b, alwaysTrue[0], alwaysTrue[1])
		} else {
			f.add(ruleCompare, b, alwaysFalse[0], alwaysFalse[1])
		}
	case token.LSS, token.LEQ, token.GTR, token.GEQ:
		if quorumName.MatchString(lastName(b.Y)) {
			f.quorum(b)
		} else if orderedName.MatchString(lastName(b.X)) && orderedName.MatchString(lastName(b.Y)) {
			f.add(ruleOrder, b, alwaysFalse[0], alwaysFalse[1])
		}
	}
}

// quorum: too few drives count as enough.
func (f *finder) quorum(b *ast.BinaryExpr) {
	if b.Op == token.LSS || b.Op == token.LEQ {
		f.add(ruleQuorum, b, alwaysFalse[0], alwaysFalse[1])
	} else {
		f.add(ruleQuorum, b, alwaysTrue[0], alwaysTrue[1])
	}
}

// trivial operands: nil, literals, and constants such as formats and kinds.
func trivial(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit, *ast.CompositeLit:
		return true
	case *ast.Ident:
		return e.Name == "nil" || strings.HasSuffix(e.Name, "Version") && e.Name != "Version"
	case *ast.ParenExpr:
		return trivial(e.X)
	}
	return false
}

// counting operands are numbers of drives, which choose and prove nothing.
func counting(e ast.Expr) bool { return strings.EqualFold(lastName(e), "number") }

func proving(e ast.Expr) bool {
	if c, ok := e.(*ast.CallExpr); ok {
		return provingCall.MatchString(calledName(c))
	}
	return provingName.MatchString(lastName(e))
}

// lastName of an expression like a.b.c or a.b.c().
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.CallExpr:
		return calledName(e)
	case *ast.ParenExpr:
		return lastName(e.X)
	case *ast.IndexExpr:
		return lastName(e.X)
	}
	return ""
}

// field of a composite literal: conditions and guards.
func (f *finder) field(kv *ast.KeyValueExpr) {
	key, ok := kv.Key.(*ast.Ident)
	if !ok || trivialNil(kv.Value) {
		return
	}
	switch _, literal := kv.Value.(*ast.CompositeLit); {
	case key.Name == "Guard":
		f.add(ruleGuard, kv.Value, unlessValue[0], unlessValue[1])
	case key.Name == "Conditions" && (literal || lastName(kv.Value) == "conditions"):
		f.add(ruleCondition, kv.Value, unlessValue[0], unlessValue[1])
	}
}

func trivialNil(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "nil"
}

// verdict of a function that evaluates conditions.
func (f *finder) verdict(r *ast.ReturnStmt) {
	name := f.function[strings.LastIndex(f.function, ".")+1:]
	if name != "holds" && name != "hold" || len(r.Results) == 0 {
		return
	}
	switch first := r.Results[0]; {
	case len(r.Results) == 1 && !trivialNil(first):
		if strings.HasPrefix(f.text(first), "fmt.Errorf") {
			f.add(ruleHolds, first, unlessValue[0], unlessValue[1])
		}
	case len(r.Results) == 2 && trivialNil(r.Results[1]):
		f.add(ruleHolds, first, alwaysTrue[0], alwaysTrue[1])
	}
}
