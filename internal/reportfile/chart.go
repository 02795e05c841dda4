package reportfile

import "math"

// chart is a chart of horizontal bars.
type chart struct {
	title  string
	legend []key
	groups []group
}

// key says what a color means.
type key struct {
	color color
	text  string
}

// group are bars that belong together.
type group struct {
	name, detail string
	bars         []bar
}

// bar is one bar. What goes beyond the limit has the color of over-use; an unlimited one is as long as there is room.
type bar struct {
	color        color
	value, limit uint64
	unlimited    bool
}

// Measures of charts, in millimetres.
const (
	barHeight   = 3.6
	groupGap    = 2.8
	twoLines    = 8.6 // for name and detail of a group
	nameWidth   = 62.0
	chartHead   = 9.5 // the heading
	legendSpace = 6.0
	axisSpace   = 9.0 // the numbers below the bars, and what is free below them
)

// draw draws a chart at the place of the next block. One that has no room there begins on a new page, and one that is longer than a
// page goes on.
func (p *paper) draw(c chart) {
	most := uint64(0)
	numbers := 0.0 // the widest
	p.set(cellStyle)
	for _, g := range c.groups {
		for _, b := range g.bars {
			if !b.unlimited {
				most = max(most, b.value)
			}
			numbers = max(numbers, p.GetStringWidth(b.text()))
		}
	}
	a := axis{x: left + nameWidth + 2, width: width - nameWidth - numbers - 5}
	a.step, a.end = scale(most)
	title, head := c.title, chartHead
	if len(c.legend) > 0 {
		head += legendSpace
	}
	for rest := c.groups; len(rest) > 0; {
		height := groupGap + barHeight*float64(len(rest[0].bars))
		if rest[0].detail != "" {
			height = max(height, twoLines)
		}
		fits := func(y float64) int { return int((bottom - y - head - axisSpace) / height) }
		if n := fits(p.y); p.y > top && n < len(rest) && (n < 3 || len(rest) <= fits(top)) {
			p.newPage()
		}
		n := min(len(rest), max(1, fits(p.y)))
		p.heading(title)
		p.legend(c.legend)
		p.bars(a, rest[:n], height)
		title, rest = c.title+", continued", rest[n:]
	}
}

func (p *paper) legend(keys []key) {
	if len(keys) == 0 {
		return
	}
	x := left + nameWidth + 2
	for _, k := range keys {
		p.fill(x, p.y+0.2, 3, 3, k.color)
		p.put(x+4.5, p.y+2.9, cellStyle, k.text)
		x += 10 + p.GetStringWidth(k.text)
	}
	p.y += legendSpace
}

// axis is where bars begin, how long they can be, and what they show: from 0 to end, with a mark at each step.
type axis struct {
	x, width  float64
	step, end uint64
}

// at returns where a value is.
func (a axis) at(value uint64) float64 {
	return a.x + a.width*float64(min(value, a.end))/float64(a.end)
}

// bars draws groups of bars, each of that height, with the axis below.
func (p *paper) bars(a axis, groups []group, height float64) {
	end := p.y + height*float64(len(groups))
	for mark := uint64(0); mark <= a.end; mark += a.step {
		p.SetDrawColor(pale[0], pale[1], pale[2])
		p.SetLineWidth(0.15)
		p.Line(a.at(mark), p.y, a.at(mark), end)
		p.write(a.at(mark)-15, end+3.2, 30, centred, smallStyle, grouped(mark))
	}
	for _, g := range groups {
		middle := p.y + height/2
		y := middle - barHeight*float64(len(g.bars))/2
		if g.detail == "" {
			p.write(left, middle+1, nameWidth, toRight, cellStyle, g.name)
		} else {
			p.write(left, middle-0.7, nameWidth, toRight, cellStyle, g.name)
			p.write(left, middle+2.8, nameWidth, toRight, smallStyle, g.detail)
		}
		for _, b := range g.bars {
			p.bar(a, y, b)
			y += barHeight
		}
		p.y += height
	}
	p.SetDrawColor(grey[0], grey[1], grey[2])
	p.SetLineWidth(0.25)
	p.Line(a.x, end-height*float64(len(groups)), a.x, end)
	p.y = end + axisSpace
}

// bar draws a bar with its number. Nothing is a bar of no length; whatever there is shows.
func (p *paper) bar(a axis, y float64, b bar) {
	const thick, least = barHeight - 0.5, 0.6
	end := a.at(b.value)
	switch {
	case b.unlimited:
		end = a.x + a.width
		p.fill(a.x, y, a.width, thick, b.color)
	case b.value > b.limit:
		split := a.at(b.limit)
		end = max(end, split+least)
		p.fill(a.x, y, split-a.x, thick, b.color)
		p.fill(split, y, end-split, thick, vermilion)
	case b.value > 0:
		end = max(end, a.x+least)
		p.fill(a.x, y, end-a.x, thick, b.color)
	}
	p.set(cellStyle)
	p.fill(end+0.5, y, p.GetStringWidth(b.text())+1, thick, white) // no mark of the axis goes through the number
	p.put(end+1, y+2.6, cellStyle, b.text())
}

// text is what stands beside a bar.
func (b bar) text() string {
	if b.unlimited {
		return "unlimited"
	}
	return grouped(b.value)
}

// scale returns the marks of an axis that reaches a number: steps of 1, 2 or 5 with zeros, and a multiple of them.
func scale(most uint64) (step, end uint64) {
	const marks = 5
	raw := float64(most) / marks
	power := math.Pow(10, math.Floor(math.Log10(max(raw, 1))))
	for _, n := range []float64{1, 2, 5, 10} {
		if step = uint64(n * power); float64(step) >= raw {
			break
		}
	}
	return step, max(1, (most+step-1)/step) * step
}
