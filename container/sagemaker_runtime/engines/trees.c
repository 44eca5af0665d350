/*
 * Scores an ensemble of trees: what Ensemble.walk in ensemble.py does, to the last bit.
 *
 * Reads only arrays that Ensemble has checked, and needs nothing of Python: ctypes calls it without
 * the interpreter's lock. compile.sh makes libtrees.so of it.
 *
 * Why it is fast: a node's threshold and feature are looked up one after the other, and walking one
 * row down one tree mostly waits for them. So LANES walks go on side by side, without branches
 * that a processor could guess wrong: rows of a batch down the same tree, or a single row down as
 * many trees. Of a batch, BLOCK rows at a time stay in the first-level cache while all trees pass.
 */
#define _GNU_SOURCE /* the affinity of threads */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Where a thread can be told on which processor to begin. */
#if defined(__linux__) && defined(__GLIBC__)
#define PLACES_THREADS
#endif

/* Measured best among 4 to 32 lanes and 32 to 128 rows. */
enum { LANES = 12, BLOCK = 8 * LANES };

/* A thread costs some 20 microseconds, as much as 10 rows; it gets no fewer than these. */
enum { ROWS_PER_THREAD = 512, MOST_THREADS = 256 };

/* compiled.py multiplies its column numbers by this, so that the inner loop need not. */
const uint32_t trees_lanes = LANES;

/*
 * A leaf's column is 0, which holds minus infinity for every row: it is at most the leaf's number,
 * so the walk goes "left", which in a leaf is the leaf itself.
 */
struct step {
    uint32_t column; /* in the staged rows, times LANES */
    uint32_t left;   /* node for rows with a value of at most the number; the right one is next */
};

struct trees {
    const double *number;    /* per node: the threshold of a split, the value of a leaf */
    const struct step *step; /* per node */
    const uint32_t *root;    /* per tree: its first node */
    const uint32_t *column;  /* per staged column from 1: feature * 2 + missing values go left */
    const int32_t *output;   /* per tree: the output that it adds to */
    const double *vectors;   /* rows of outputs that a leaf's number counts; NULL: it is the value */
    const double *base;      /* per output */
    size_t trees, columns, outputs;
    double scale;
    int single; /* features are rounded to single precision */
};

struct job {
    const struct trees *trees;
    const double *features; /* rows x width */
    size_t width, rows;
    double *out; /* rows x outputs */
    atomic_size_t next; /* the first row that nobody works on yet */
#ifdef PLACES_THREADS
    cpu_set_t allowed; /* processors for its threads; none when not known */
#endif
};

/*
 * Copy the columns that splits look at to staged[column][lane]. A missing value becomes minus
 * infinity in a column for splits that send it left; elsewhere it stays NaN, which is never at
 * most a threshold and so goes right. Splits of both kinds make two columns of a feature.
 */
static void stage(const struct trees *trees, const double *row, double *staged)
{
    staged[0] = -INFINITY;
    for (size_t i = 1; i < trees->columns; i++) {
        double value = row[trees->column[i] >> 1];
        if (trees->single)
            value = (float)value;
        staged[i * LANES] = isnan(value) && trees->column[i] & 1 ? -INFINITY : value;
    }
}

/*
 * Walk from the nodes in at[] to their leaves; lane i reads the row at staged + i * apart.
 */
static inline void walk(const struct trees *trees, const double *staged, size_t apart, uint32_t *at)
{
    uint32_t any_split;
    do {
        any_split = 0;
        for (size_t i = 0; i < LANES; i++) {
            struct step step = trees->step[at[i]];
            any_split |= step.column;
            at[i] = step.left + !(staged[i * apart + step.column] <= trees->number[at[i]]);
        }
    } while (any_split);
}

/* The leaves are added tree by tree, and to -0.0 as the only number that changes no other. */

static void begin(const struct trees *trees, size_t rows, double *out)
{
    for (size_t i = 0; i < rows * trees->outputs; i++)
        out[i] = -0.0;
}

static void finish(const struct trees *trees, size_t rows, double *out)
{
    for (size_t row = 0; row < rows; row++, out += trees->outputs)
        for (size_t i = 0; i < trees->outputs; i++)
            out[i] = trees->base[i] + trees->scale * out[i];
}

static inline void add_vector(const struct trees *trees, uint32_t leaf, double *out)
{
    const double *vector = trees->vectors + (size_t)trees->number[leaf] * trees->outputs;
    for (size_t i = 0; i < trees->outputs; i++)
        out[i] += vector[i];
}

static void score_row(const struct trees *trees, const double *row, double *out, double *staged)
{
    double total = -0.0; /* of a single output, not in memory: each sum waits for the one before */
    begin(trees, 1, out);
    stage(trees, row, staged);
    for (size_t tree = 0; tree < trees->trees; tree += LANES) {
        size_t left = trees->trees - tree, lanes = left < LANES ? left : LANES;
        uint32_t at[LANES];
        for (size_t i = 0; i < LANES; i++)
            at[i] = trees->root[tree + (i < lanes ? i : 0)];
        walk(trees, staged, 0, at);
        if (trees->vectors)
            for (size_t i = 0; i < lanes; i++)
                add_vector(trees, at[i], out);
        else if (trees->outputs > 1)
            for (size_t i = 0; i < lanes; i++)
                out[trees->output[tree + i]] += trees->number[at[i]];
        else
            for (size_t i = 0; i < lanes; i++)
                total += trees->number[at[i]];
    }
    if (!trees->vectors && trees->outputs == 1)
        out[0] = total;
    finish(trees, 1, out);
}

static void score_groups(const struct trees *trees, const double *features, size_t width,
                         size_t groups, double *out, double *staged)
{
    const double *number = trees->number;
    const size_t outputs = trees->outputs;
    for (size_t row = 0; row < groups * LANES; row++)
        stage(trees, features + row * width,
              staged + row / LANES * trees->columns * LANES + row % LANES);
    begin(trees, groups * LANES, out);
    for (size_t tree = 0; tree < trees->trees; tree++)
        for (size_t group = 0; group < groups; group++) {
            uint32_t at[LANES];
            for (size_t i = 0; i < LANES; i++)
                at[i] = trees->root[tree];
            walk(trees, staged + group * trees->columns * LANES, 1, at);
            double *total = out + group * LANES * outputs;
            if (trees->vectors)
                for (size_t i = 0; i < LANES; i++)
                    add_vector(trees, at[i], total + i * outputs);
            else if (outputs > 1)
                for (size_t i = 0; i < LANES; i++)
                    total[i * outputs + trees->output[tree]] += number[at[i]];
            else
                for (size_t i = 0; i < LANES; i++)
                    total[i] += number[at[i]];
        }
    finish(trees, groups * LANES, out);
}

/*
 * Score blocks until none is left. Without memory it leaves them to the others.
 */
static void *work(void *argument)
{
    struct job *job = argument;
    size_t most = job->rows < LANES ? LANES : BLOCK, start;
    double *staged = malloc(most * job->trees->columns * sizeof *staged);
    if (!staged)
        return NULL;
    while ((start = atomic_fetch_add(&job->next, BLOCK)) < job->rows) {
        size_t rows = job->rows - start < BLOCK ? job->rows - start : BLOCK;
        size_t groups = rows / LANES;
        const double *features = job->features + start * job->width;
        double *out = job->out + start * job->trees->outputs;
        score_groups(job->trees, features, job->width, groups, out, staged);
        for (size_t row = groups * LANES; row < rows; row++)
            score_row(job->trees, features + row * job->width, out + row * job->trees->outputs,
                      staged);
    }
    free(staged);
    return NULL;
}

#ifdef PLACES_THREADS
/* Once begun, a thread may move to any processor. */
static void *work_anywhere(void *argument)
{
    struct job *job = argument;
    sched_setaffinity(0, sizeof job->allowed, &job->allowed);
    return work(job);
}
#endif

/*
 * Start a thread, on another processor than this one: Linux often begins a thread where its creator
 * runs, and for milliseconds leaves both there although another processor is idle. So two threads
 * took 15 to 25 ms for 10,000 rows instead of 12.
 */
static int start(pthread_t *thread, struct job *job)
{
#ifdef PLACES_THREADS
    pthread_attr_t attributes;
    if (CPU_COUNT(&job->allowed) > 1 && !pthread_attr_init(&attributes)) {
        cpu_set_t others = job->allowed;
        CPU_CLR((size_t)sched_getcpu(), &others);
        int failed = pthread_attr_setaffinity_np(&attributes, sizeof others, &others)
                     || pthread_create(thread, &attributes, work_anywhere, job);
        pthread_attr_destroy(&attributes);
        if (!failed)
            return 0;
    }
#endif
    return pthread_create(thread, NULL, work, job);
}

/*
 * Score rows x width features into out, in at most this many threads; return 0, or -1 without
 * memory. Threads live for one call: they outlast no fork, and no library replaces them by its own.
 * The name ends in a number that is raised whenever compiled.py must call or fill in something else.
 */
int trees_predict_2(const struct trees *trees, const double *features, size_t width, size_t rows,
                    double *out, size_t threads)
{
    struct job job = {.trees = trees, .features = features, .width = width, .rows = rows,
                      .out = out};
    pthread_t thread[MOST_THREADS];
    size_t wanted = rows / ROWS_PER_THREAD, started = 0;
    wanted = wanted < threads ? wanted : threads;
#ifdef PLACES_THREADS
    if (wanted > 1 && sched_getaffinity(0, sizeof job.allowed, &job.allowed))
        CPU_ZERO(&job.allowed);
#endif
    while (started + 1 < wanted && started < MOST_THREADS
           && !start(&thread[started], &job))
        started++;
    work(&job);
    while (started)
        pthread_join(thread[--started], NULL);
    return atomic_load(&job.next) < rows ? -1 : 0;
}
