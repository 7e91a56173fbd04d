package webpage

import (
	"encoding/json"
	"math"
	"strconv"
)

// Data is a table of points, with its charts. Each column lists its values in the order of
// the points.
type Data struct {
	// Name is the name of downloaded files, without their ending.
	Name string `json:"name"`
	// What a row is called, such as "point", and the plural.
	One  string `json:"one"`
	Many string `json:"many"`
	Rows int    `json:"rows"`

	Columns []*Column `json:"columns"`
	// Facets are the columns by which the reader can choose and mark points.
	Facets []string `json:"facets"`
	// Apart are other columns that distinguish points.
	Apart []string `json:"apart"`
	// Mark is the facet by which points are marked at first, or "".
	Mark   string  `json:"mark"`
	Charts []Chart `json:"charts"`
	// Status is the column of the outcome, or "". Reason is the column that says why a
	// point is suspect, or "".
	Status string `json:"status"`
	Reason string `json:"reason"`
	// Best is the column by which points are ranked, or "". The highest value is the best or,
	// with Lowest, the lowest value.
	Best   string `json:"best"`
	Lowest bool   `json:"lowest"`
	// Of is what the best value is compared with, or nil.
	Of *Line `json:"of"`
	// Commands are the commands of the points, or nil.
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

// Column is a column of data.
type Column struct {
	Key   string `json:"key"`
	Label string `json:"label"`
	Unit  string `json:"unit"`
	// Log makes the column's axis logarithmic.
	Log bool `json:"log"`
	// Words are the distinct texts of a text column, and At has the index of each point's
	// text.
	Words []string `json:"words,omitempty"`
	At    []int32  `json:"at,omitempty"`
	// Numbers are the values of other columns, NaN where there is none.
	Numbers Numbers `json:"numbers,omitempty"`

	words map[string]int32
}

// Add adds a point's text.
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

// AddNumber adds a point's number.
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

// Numbers is a list of numbers that is written compactly, with null for NaN and infinity.
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

// Commands are lists of words. Most words are in many commands.
type Commands struct {
	Words []string  `json:"words"`
	At    [][]int32 `json:"at"`

	words map[string]int32
}

// Add adds a point's command, word by word.
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

// Chart is a chart that shows points or, with Split, the parts of a whole.
type Chart struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	// Note says in a sentence how to read it.
	Note  string `json:"note"`
	Split bool   `json:"split"`
	// X are the columns for the horizontal axis, of which the reader chooses one.
	X     []string `json:"x"`
	Label string   `json:"label"` // of the vertical axis; "" for that of the first column
	Y     []string `json:"y"`
	// Lines are horizontal lines.
	Lines  []Line  `json:"lines"`
	Curves []Curve `json:"curves"`
	// Columns are those of the chart's table.
	Columns []string `json:"columns"`
}

// Line is a value with its name.
type Line struct {
	Value float64 `json:"value"`
	Label string  `json:"label"`
}

// Curve is a line through calculated points. It is shown as long as the reader's selection
// includes these values of facets.
type Curve struct {
	Label string            `json:"label"`
	Where map[string]string `json:"where"`
	X     Numbers           `json:"x"`
	Y     Numbers           `json:"y"`
}
