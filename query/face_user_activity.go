package query

import (
	"context"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"

	"annals/activity"
	"annals/activity/face"
	"annals/internal/access"
	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/projections"

	"github.com/danielgtaylor/huma/v2"
)

// UserActivityPath is the deal platform's endpoint, as it is published.
const UserActivityPath = "/api/rest/v1/management/user/activity"

// Bounds of a question of user activity.
const (
	DefaultActivityRows = 10
	MaxActivityRows     = 1000

	maxActivityPage = 1_000_000_000
	maxActivityBody = 64 << 10
)

// UserActivity is the answer.
type UserActivity struct {
	TotalRecords uint64                 `json:"totalRecords" doc:"How many match, on all pages: exactly."`
	Rows         []face.UserActivityRow `json:"rows" doc:"Newest first."`
}

// paging is which page is asked for, in the query.
type paging struct{ number, size int }

func init() {
	row := func(name, about string, normal, most int, into func(*paging) *int) {
		parameters[name] = &parameter{
			name: name, in: inQuery, example: normal, about: about,
			schema: huma.Schema{Type: huma.TypeInteger, Minimum: ptr(1.0), Default: normal},
			parse: func(f *filter, _ said, v string) (code problem.Code, why string) {
				*into(&f.paging), code, why = atLeastOne("page", v, most)
				return code, why
			},
		}
	}
	row("pageNumber", "The page, from 1.", 1, maxActivityPage, func(p *paging) *int { return &p.number })
	row("pageSize", "Rows on a page. More than 1000 is taken as 1000.", DefaultActivityRows, MaxActivityRows, func(p *paging) *int { return &p.size })
}

func userActivitySchema(r huma.Registry) *huma.Schema {
	s := r.Schema(reflect.TypeFor[UserActivity](), true, "")
	row := r.SchemaFromRef("#/components/schemas/UserActivityRow")
	row.Properties["userId"] = &huma.Schema{Description: "A number; text, where the id is none."}
	row.Properties["onBehalfOfUserId"] = &huma.Schema{Description: "As whom the user acted (activity 9): like userId."}
	row.Properties["ipAddress"] = &huma.Schema{Type: huma.TypeInteger, Minimum: ptr(0.0), Description: "An IPv4 address in network byte order."}
	return s
}

func userActivityOperation() operation {
	integer := func(about string, least, most float64) *huma.Schema {
		return &huma.Schema{Type: huma.TypeInteger, Minimum: &least, Maximum: &most, Description: about}
	}
	date := func(about string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeString, Format: "date-time", Description: about}
	}
	users := &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeInteger}, MaxItems: ptr(face.MaxUserIDs), Description: "Any of these users; none: all. userIds is the same."}
	return operation{
		method: http.MethodPost, path: UserActivityPath, id: "user-activity", summary: "User activity",
		description: "The deal platform's endpoint (docs/faces.md): logins, exports and the like, newest first. Filters stand in the body, the page in the query. Refusals carry `message`, as it is published, beside the problem's `detail`.",
		parameters:  []string{access.WorkspaceHeader, "pageNumber", "pageSize"},
		body:        jsonMedia,
		bodySchema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: false, Properties: map[string]*huma.Schema{
			"userIDs": users, "userIds": users,
			"dateFrom": date("From this day (UTC) on. Default: 90 days before dateTo, which is the most."), "dateTo": date("Before this day (UTC). Default: through now."),
			"activity": integer("Default: the eleven.", 1, 11), "source": integer("Default: any.", 1, 11),
			"exportDataType": integer("With activity 8.", 0, 4),
		}},
		mediaType: jsonMedia, schema: userActivitySchema, message: true,
		access: onFace(access.Read), work: ptr(access.Query), answer: (*API).userActivity,
		problems: []problem.Code{
			problem.InvalidParameter, problem.UnknownParameter, problem.BadRequest, problem.TooLarge, problem.UnsupportedMedia, problem.CrossSite, problem.Behind, problem.Internal,
		},
	}
}

// messaged gives a problem the member that the deal platform's clients read.
func messaged(err error) error {
	p := *problem.As(err)
	p.Message = p.Detail
	return &p
}

// userActivity answers one page.
func (a *API) userActivity(w http.ResponseWriter, r *http.Request, f *filter) error {
	body, err := readQuestion(w, r)
	if err != nil {
		return err
	}
	asked, err := face.ParseUserActivity(body, time.Now(), a.o.ActivityDays)
	if refusal, ok := errors.AsType[*face.Refusal](err); ok {
		return problem.New(problem.BadRequest, "%s", refusal.Detail).With(problem.At(refusal.Pointer, problem.InvalidBody, refusal.Detail))
	}
	f.ask(asked)
	view, moment, _, err := a.look(r.Context(), f)
	if err != nil {
		return err
	}
	defer view.Close()
	q, _, err := a.question(view, f, moment.size)
	if err != nil {
		return err
	}
	size := f.paging.size
	if size == 0 {
		size = DefaultActivityRows
	}
	skip := uint64(max(f.paging.number, 1)-1) * uint64(size)
	var indexes []uint64
	out := UserActivity{Rows: []face.UserActivityRow{}}
	out.TotalRecords, indexes, err = a.pageAt(r.Context(), view, q, skip, size)
	if err != nil {
		return err
	}
	// However large the records: their rows are small, and whoever counts pages by
	// totalRecords would never see one that was left out.
	if _, err = a.records(f.turn, indexes, math.MaxInt, func(e *chain.Entry, r *activity.Record) error {
		out.Rows = append(out.Rows, face.UserActivityRowOf(r, r.Type, occurredAt(e, r)))
		return nil
	}); err != nil {
		return err
	}
	return writeJSON(w, &out)
}

// occurredAt is when a record occurred, as the indexes have it.
func occurredAt(e *chain.Entry, r *activity.Record) time.Time {
	if t, ok := activity.Occurred(r.OccurredAt); ok {
		return t
	}
	return recordedAt(e)
}

// readQuestion reads the body. All of its members are optional, and so is it.
func readQuestion(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxActivityBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, problem.New(problem.TooLarge, "a question has at most %d bytes", maxActivityBody)
	case err != nil:
		return nil, problem.New(problem.BadRequest, "the body did not arrive whole").From(err)
	case len(body) == 0:
		return []byte("{}"), nil
	}
	given := r.Header.Get("Content-Type")
	media, params, err := mime.ParseMediaType(given)
	if charset := params["charset"]; err != nil || media != jsonMedia || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, problem.New(problem.UnsupportedMedia, "Content-Type is %q: send the filters as %s, in UTF-8", given, jsonMedia)
	}
	return body, nil
}

// ask puts a question of user activity into the filter.
func (f *filter) ask(asked *face.UserActivityQuestion) {
	any := func(field projections.Field, not bool, values ...string) {
		c := projections.Condition{Field: field, Not: not}
		for _, v := range values {
			c.Any = append(c.Any, projections.Value{A: v})
		}
		if len(values) > 0 {
			f.where = append(f.where, c)
		}
	}
	any(projections.FieldType, false, asked.Types...)
	any(projections.FieldActor, false, asked.Users...)
	if asked.Export != "" {
		f.where = append(f.where, projections.Condition{Field: projections.FieldData, Any: []projections.Value{{A: activity.ExportDataType, B: asked.Export}}})
	}
	if asked.Source == face.UnknownSource { // which is shown of whatever is none of the others
		any(projections.FieldSource, true, face.KnownSources()...)
	} else if asked.Source != "" {
		any(projections.FieldSource, false, asked.Source)
	}
	f.occurredSince, f.occurredUntil = projections.Nanoseconds(asked.From), projections.Nanoseconds(asked.To)
	f.order = projections.ByOccurred
}

// tooBroad is said where an answer would not be exact.
func tooBroad() error {
	return problem.New(problem.BadRequest, "to answer this exactly takes too long; narrow it by dateFrom and dateTo, or by other filters")
}

// pageAt answers how many entries match, and with those that stand behind the first
// so many, newest first. What is far behind is found by counting hours, not entries.
func (a *API) pageAt(ctx context.Context, view *projections.View, q projections.Query, skip uint64, size int) (total uint64, indexes []uint64, err error) {
	count, err := view.Count(ctx, q)
	switch {
	case err != nil:
		return 0, nil, err
	case count.Truncated:
		return 0, nil, tooBroad()
	case skip >= count.N:
		return count.N, nil, nil
	}
	if skip+uint64(size) > a.atOnce {
		bounds := hours(q.OccurredFrom, q.OccurredTo)
		counts, truncated, err := view.HistogramOccurred(ctx, q, bounds)
		if err != nil {
			return 0, nil, err
		}
		if truncated {
			return 0, nil, tooBroad()
		}
		i := len(counts) - 1
		for ; i > 0 && skip >= counts[i]; i-- {
			skip -= counts[i]
		}
		q.OccurredTo = bounds[i+1]
	}
	for want := skip + uint64(size); ; {
		q.Limit = int(min(want, a.atOnce))
		page, err := view.Page(ctx, q)
		if err != nil {
			return 0, nil, err
		}
		if page.Truncated {
			return 0, nil, tooBroad()
		}
		n := uint64(len(page.Indexes))
		from := min(skip, n)
		indexes = append(indexes, page.Indexes[from:]...)
		skip -= from
		if want -= n; want == 0 || !page.More {
			return count.N, indexes, nil
		}
		q.After = &page.Last
	}
}

// hours are the bounds of the hours of a range of times, or of longer spans where these
// would be too many.
func hours(from, to int64) []int64 {
	step := int64(time.Hour)
	if most := (to - from) / (MaxBuckets / 2); step < most {
		step = most
	}
	var bounds []int64
	for t := from; t < to; t += step {
		bounds = append(bounds, t)
	}
	return append(bounds, to)
}
