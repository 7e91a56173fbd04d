package webpage

import (
	"encoding/json"
	"math"
	"strconv"
)

// Data is a table of points and the charts that show them. Each column has one value per
// point, in the same order.
type Data struct {
	// Name is the prefix of the names of downloaded files.
	Name string `json:"name"`
	// One and Many are the words for one row and for several, such as "point" and "points".
	One  string `json:"one"`
	Many string `json:"many"`
	Rows int    `json:"rows"`

	Columns []*Column `json:"columns"`
	// Facets are the keys of the columns by which the reader can filter and mark points.
	Facets []string `json:"facets"`
	// Apart is the list of the keys of other columns that distinguish points. A line joins only
	// points that have the same values in these columns.
	Apart []string `json:"apart"`
	// Mark is the facet by which points are initially marked, or "".
	Mark   string  `json:"mark"`
	Charts []Chart `json:"charts"`
	// Status is the key of the column with each point's status, or "". Reason is the key of
	// the column that explains why a point is not trusted, or "".
	Status string `json:"status"`
	Reason string `json:"reason"`
	// Best is the key of the column by which points are ranked, or "". The highest value is
	// the best, unless Lowest is set.
	Best   string `json:"best"`
	Lowest bool   `json:"lowest"`
	// Of is the reference value, or nil. The best value is shown as a
	// percentage of it.
	Of *Line `json:"of"`
	// Commands contains each point's command, or is nil if the points have none.
	Commands *Commands `json:"commands"`
}

// Units of columns.
const (
	UnitText    = ""
	UnitBytes   = "B"
	UnitMicros  = "us"
	UnitRate    = "GB/s"
	UnitCount   = "1"
	UnitRatio   = "x"
	UnitPercent = "%"
)

// Column is a column of [Data].
type Column struct {
	Key   string `json:"key"`
	Label string `json:"label"`
	Unit  string `json:"unit"`
	// Log makes the column's axis logarithmic.
	Log bool `json:"log"`
	// Words are the distinct values of a text column. At contains each point's index in
	// Words.
	Words []string `json:"words,omitempty"`
	At    []int32  `json:"at,omitempty"`
	// Numbers are the values of a numeric column, with NaN for points that have no value.
	Numbers Numbers `json:"numbers,omitempty"`

	words map[string]int32
}

// Add appends a point's value to a text column.
func (c *Column) Add(text string) {
	i, ok := c.words[text]
	if !ok {
		if c.words == nil {
			c.words = map[string]int32{}
		}
		i = int32(len(c.Words))
		c.words[text] = i
		c.Words = append(c.Words, text)
	}
	c.At = append(c.At, i)
}

// AddNumber appends a point's value to a numeric column.
func (c *Column) AddNumber(x float64) { c.Numbers = append(c.Numbers, x) }

// Varies reports whether at least two points have different values.
func (c *Column) Varies() bool {
	for _, x := range c.Numbers {
		if x != c.Numbers[0] && !(math.IsNaN(x) && math.IsNaN(c.Numbers[0])) {
			return true
		}
	}
	return len(c.Words) > 1
}

// IsEmpty reports whether no point has a value.
func (c *Column) IsEmpty() bool {
	for _, x := range c.Numbers {
		if !math.IsNaN(x) {
			return false
		}
	}
	return len(c.Words) == 0 || len(c.Words) == 1 && c.Words[0] == ""
}

// Numbers is a list of numbers with a compact JSON encoding, in which NaN and infinity are
// null.
type Numbers []float64

// MarshalJSON implements [json.Marshaler].
func (n Numbers) MarshalJSON() ([]byte, error) {
	text := []byte{'['}
	for i, x := range n {
		if i > 0 {
			text = append(text, ',')
		}
		switch {
		case math.IsNaN(x) || math.IsInf(x, 0):
			text = append(text, "null"...)
		case x == math.Trunc(x) && math.Abs(x) < 1<<53:
			text = strconv.AppendInt(text, int64(x), 10)
		default:
			text = strconv.AppendFloat(text, x, 'g', 7, 64)
		}
	}
	return append(text, ']'), nil
}

var _ json.Marshaler = Numbers(nil)

// Commands stores each point's command as indexes in Words, because most words occur in many
// commands.
type Commands struct {
	Words []string  `json:"words"`
	At    [][]int32 `json:"at"`

	words map[string]int32
}

// Add appends a point's command, given as words.
func (c *Commands) Add(command []string) {
	at := make([]int32, len(command))
	for i, w := range command {
		n, ok := c.words[w]
		if !ok {
			if c.words == nil {
				c.words = map[string]int32{}
			}
			n = int32(len(c.Words))
			c.words[w] = n
			c.Words = append(c.Words, w)
		}
		at[i] = n
	}
	c.At = append(c.At, at)
}

// Chart is a chart of points or, if Split is set, of bars divided into parts.
type Chart struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	// Note explains in a sentence how to read the chart.
	Note  string `json:"note"`
	Split bool   `json:"split"`
	// X contains the keys of the columns that the reader can choose for the horizontal axis.
	X []string `json:"x"`
	// Join specifies which points are joined by lines.
	Join string `json:"join,omitempty"`
	// By is the key of a numeric column, or "". The chart divides the values of this column into
	// ranges and, for each marked group, draws a separate line for each range.
	By string `json:"by,omitempty"`
	// If Trusted is set, points that are not trusted are hidden.
	Trusted bool `json:"trusted,omitempty"`
	// Group and Fixed are columns that have the same values for all bars of a split chart. The
	// reader can choose these values; initially, they are the values of the point with index
	// Start. Side is a column of times that are shown with the bars.
	Group []string `json:"group,omitempty"`
	Fixed string   `json:"fixed,omitempty"`
	Start int      `json:"start,omitempty"`
	Side  string   `json:"side,omitempty"`

	Label string   `json:"label"` // the label of the vertical axis; if "", the label of the first column in Y
	Y     []string `json:"y"`
	// Lines are horizontal reference lines.
	Lines  []Line  `json:"lines"`
	Curves []Curve `json:"curves"`
	// Columns are the keys of the columns in the chart's table.
	Columns []string `json:"columns"`
}

// Ways to join points.
const (
	// JoinPoints joins the points that differ only in their horizontal position.
	JoinPoints = ""
	// JoinMedians is like JoinPoints if there are few lines. Otherwise, it
	// joins the medians of the points at each horizontal position.
	JoinMedians = "medians"
	// JoinNone does not join points.
	JoinNone = "none"
)

// Line is a labeled value.
type Line struct {
	Value float64 `json:"value"`
	Label string  `json:"label"`
}

// Curve is a line through calculated points. It is hidden when the reader selects a facet
// value that differs from the one in Where, or a horizontal axis other than the column
// X0.
type Curve struct {
	Label string            `json:"label"`
	X0    string            `json:"x0,omitempty"`
	Where map[string]string `json:"where"`
	X     Numbers           `json:"x"`
	Y     Numbers           `json:"y"`
}
