/* SPDX-License-Identifier: MIT
 * rebuild.c: crash images from a log, each opened and checked.
 *
 * power_rebuild LOG SCRATCH [images=N] [seed=S] [drop=all|folders|data|meta] [expect=damage]
 * power_rebuild LOG SCRATCH whole
 * SCRATCH is an empty folder, best in memory. Exit 0: no
 * image was damaged (or, with expect=damage, some were). `whole` only writes the image of the whole
 * log to SCRATCH/whole, to be compared with what the driver left.
 *
 * The images are made and checked in a child: one that makes LMDB crash or spin is a damaged one,
 * and the next child goes on behind it. */
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/log.h"
#include "tests/power/disk.h"
#include "tests/power/oracle.h"
#include "tests/power/power.h"

enum {
    SENTENCES = 12, /* told in full */
    SENTENCE_BYTES = 200,
    IMAGE_S = 20, /* of processor time: an image that takes longer spins */
    PATH_BYTES = 4096,
    FIRST_START_WEIGHT = 64,
    FLOATING_WEIGHT_MAX = 16,
    GO_ON_EACH = 8,         /* one image in so many takes further frames */
    WITHOUT_VIEWS_EACH = 6, /* one in so many loses its views first */
};

static const char *const kind_names[] = {"prefix", "subset", "torn"};
static const char *const drop_names[] = {"none", "all", "folders", "data", "meta"};

struct options {
    const char *log, *scratch;
    uint64_t n_images, seed;
    enum disk_drop drop;
    bool expect_damage, whole;
};

struct image {
    uint32_t cut;
    enum disk_image kind;
    uint64_t seed;
};

struct plan {
    struct image *images;
    uint64_t n;
};

/* Shared by parent and children. */
struct progress {
    uint64_t next; /* the image at hand */
    uint64_t done[DISK_IMAGE_KINDS], damaged[DISK_IMAGE_KINDS], fresh, forgot;
    uint64_t n_sentences;
    char sentences[SENTENCES][SENTENCE_BYTES];
};

static int die(const char *what) {
    fprintf(stderr, "power: %s\n", what);
    return 2;
}

/* ---- the plan ---- */

static int compare_images(const void *a, const void *b) {
    const struct image *left = a, *right = b;
    if (left->cut != right->cut) {
        return left->cut < right->cut ? -1 : 1;
    }
    return left->kind != right->kind ? (int)left->kind - (int)right->kind
                                     : (left->seed < right->seed ? -1 : left->seed > right->seed);
}

/* How many images each cut gets beside its prefix, in shares: by what it may forget, and more for
 * the first start, which happens once. Returns the sum. */
static uint64_t weigh(const struct disk *disk, uint32_t *weights) {
    uint32_t n = disk_n_steps(disk), first_ack = n;
    int32_t *change = calloc(n + 2, sizeof(*change));
    for (uint32_t i = 0; change && i < n; i++) {
        const struct disk_step *step = disk_step(disk, i);
        first_ack = step->kind == DISK_ACK && first_ack == n ? i : first_ack;
        if (step->kind == DISK_DATA || step->kind == DISK_ENTRY || step->kind == DISK_RENAME) {
            change[i + 1]++;
            change[step->durable <= n ? step->durable : n + 1]--;
        }
    }
    int32_t floating = 0;
    uint64_t sum = 0;
    for (uint32_t cut = 0; change && cut <= n; cut++) {
        floating += change[cut];
        weights[cut] = (uint32_t)(floating < FLOATING_WEIGHT_MAX ? floating : FLOATING_WEIGHT_MAX);
        weights[cut] *= cut <= first_ack ? FIRST_START_WEIGHT : 1;
        sum += weights[cut];
    }
    free(change);
    return sum;
}

static bool make_plan(const struct disk *disk, const struct options *options, struct plan *plan) {
    uint32_t n_cuts = disk_n_steps(disk) + 1;
    uint32_t *weights = calloc(n_cuts + 1, sizeof(*weights));
    plan->images = calloc(options->n_images + 1, sizeof(*plan->images));
    plan->n = 0;
    if (!weights || !plan->images) {
        free(weights);
        return false;
    }
    uint64_t seed = options->seed, sum = weigh(disk, weights), passed = 0;
    uint64_t prefixes = options->n_images >= n_cuts + n_cuts / 2 ? n_cuts : options->n_images / 3;
    for (uint64_t i = 0; i < prefixes; i++) {
        plan->images[plan->n++] =
            (struct image){(uint32_t)(i * n_cuts / prefixes), DISK_PREFIX, power_random(&seed)};
    }
    uint64_t others = options->n_images - prefixes, given = 0;
    for (uint32_t cut = 0; sum > 0 && cut < n_cuts; cut++) {
        passed += weights[cut];
        for (; given < others * passed / sum; given++) {
            enum disk_image kind = power_random(&seed) & 1 ? DISK_SUBSET : DISK_TORN;
            plan->images[plan->n++] = (struct image){cut, kind, power_random(&seed)};
        }
    }
    free(weights);
    qsort(plan->images, plan->n, sizeof(*plan->images), compare_images);
    return true;
}

/* ---- the images ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void tell(struct progress *progress, const struct plan *plan, uint64_t i,
                 const char *sentence) {
    const struct image *image = &plan->images[i];
    progress->damaged[image->kind]++;
    if (progress->n_sentences < SENTENCES) {
        snprintf(progress->sentences[progress->n_sentences++], SENTENCE_BYTES,
                 "image %llu, cut %u, %s: %s", (unsigned long long)i, image->cut,
                 kind_names[image->kind], sentence);
    }
}

/* Goes on with progress->next until the end. Never returns. */
static void work(struct disk *disk, const struct oracle *oracle, const struct options *options,
                 const struct plan *plan, struct progress *progress) {
    char folder[PATH_BYTES], data[PATH_BYTES + 8], sentence[SENTENCE_BYTES];
    const struct itimerval limit = {.it_value = {.tv_sec = IMAGE_S}};
    struct oracle_due due = {0};
    snprintf(folder, sizeof(folder), "%s/image", options->scratch);
    snprintf(data, sizeof(data), "%s/data", folder);
    if (options->expect_damage) { /* damage is told of again and again */
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, STDERR_FILENO);
    }
    uint32_t noted = 0;
    for (; progress->next < plan->n; progress->next++) {
        uint64_t i = progress->next;
        const struct image *image = &plan->images[i];
        for (; noted < image->cut; noted++) {
            const struct disk_step *step = disk_step(disk, noted);
            if (step->kind == DISK_ACK) {
                due.acked = step->offset;
            } else if (step->kind == DISK_FRAME) {
                due.noted = step->offset;
            }
        }
        due.go_on = i % GO_ON_EACH == 0;
        due.without_views = i % WITHOUT_VIEWS_EACH == 1;
        setitimer(ITIMER_PROF, &limit, NULL);
        remove_tree(folder);
        disk_cut(disk, image->cut);
        if (mkdir(folder, 0700) != 0 ||
            !disk_write_image(disk, image->kind, image->seed, image->seed & 1, folder)) {
            perror("power: an image cannot be written");
            _exit(2);
        }
        progress->done[image->kind]++;
        progress->fresh += due.acked == 0;
        if (!oracle_check(oracle, data, &due, sentence, sizeof(sentence))) {
            tell(progress, plan, i, sentence);
        }
    }
    remove_tree(folder);
    _exit(0);
}

static bool run(struct disk *disk, const struct oracle *oracle, const struct options *options,
                const struct plan *plan, struct progress *progress) {
    while (progress->next < plan->n) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            work(disk, oracle, options, plan, progress);
        }
        if (child < 0 || waitpid(child, &status, 0) != child) {
            return false;
        }
        if (WIFEXITED(status)) {
            return WEXITSTATUS(status) == 0;
        }
        int by = WTERMSIG(status);
        tell(progress, plan, progress->next++,
             by == SIGPROF ? "the store spins" : "the store crashes");
    }
    return true;
}

static int report(const struct options *options, const struct plan *plan, uint32_t n_steps,
                  const struct progress *progress, double seconds) {
    uint64_t damaged = 0;
    for (int kind = 0; kind < DISK_IMAGE_KINDS; kind++) {
        damaged += progress->damaged[kind];
    }
    printf("steps %u, dropped syncs %s, seed %llu: %llu images in %.1f s, %llu of them before the "
           "first ack; damaged %llu",
           n_steps, drop_names[options->drop], (unsigned long long)options->seed,
           (unsigned long long)plan->n, seconds, (unsigned long long)progress->fresh,
           (unsigned long long)damaged);
    for (int kind = 0; kind < DISK_IMAGE_KINDS; kind++) {
        printf("%s%s %llu of %llu", kind == 0 ? " (" : ", ", kind_names[kind],
               (unsigned long long)progress->damaged[kind],
               (unsigned long long)progress->done[kind]);
    }
    printf(")\n");
    for (uint64_t i = 0; i < progress->n_sentences; i++) {
        printf("  %s\n", progress->sentences[i]);
    }
    if (options->expect_damage && damaged == 0) {
        printf("the checker found nothing, but the disk was made to lie\n");
    }
    return options->expect_damage ? damaged == 0 : damaged > 0;
}

static bool parse(int argc, char **argv, struct options *options) {
    *options = (struct options){.n_images = 20000, .seed = 1};
    if (argc < 3) {
        return false;
    }
    options->log = argv[1];
    options->scratch = argv[2];
    for (int i = 3; i < argc; i++) {
        if (strncmp(argv[i], "images=", 7) == 0) {
            options->n_images = strtoull(argv[i] + 7, NULL, 10);
        } else if (strncmp(argv[i], "seed=", 5) == 0) {
            options->seed = strtoull(argv[i] + 5, NULL, 10);
        } else if (strncmp(argv[i], "drop=", 5) == 0) {
            unsigned drop = 0;
            while (drop <= DISK_DROP_META && strcmp(argv[i] + 5, drop_names[drop]) != 0) {
                drop++;
            }
            options->drop = (enum disk_drop)drop;
        } else if (strcmp(argv[i], "expect=damage") == 0) {
            options->expect_damage = true;
        } else if (strcmp(argv[i], "whole") == 0) {
            options->whole = true;
        } else {
            return false;
        }
    }
    return options->n_images > 0 && options->drop <= DISK_DROP_META;
}

int main(int argc, char **argv) {
    struct options options;
    struct plan plan;
    char inner[PATH_BYTES];
    if (!parse(argc, argv, &options) || sodium_init() < 0) {
        return die("usage: power_rebuild LOG DATA SCRATCH [images=N] [seed=S] "
                   "[drop=all|folders|data|meta] [expect=damage] [whole]");
    }
    cb_log_set_level(CB_LOG_ERROR);
    struct disk *disk = disk_load(options.log, options.drop);
    if (!disk) {
        return 2;
    }
    if (options.whole) {
        snprintf(inner, sizeof(inner), "%s/whole", options.scratch);
        disk_cut(disk, disk_n_steps(disk));
        return mkdir(inner, 0700) == 0 && disk_write_image(disk, DISK_PREFIX, 1, false, inner)
                   ? 0
                   : die("the whole image cannot be written");
    }
    snprintf(inner, sizeof(inner), "%s/reference", options.scratch);
    struct oracle *oracle = NULL;
    if (mkdir(inner, 0700) == 0) {
        oracle = oracle_create(disk, inner);
    }
    remove_tree(inner);
    struct progress *progress = power_shared(sizeof(*progress));
    if (!oracle || !progress || !make_plan(disk, &options, &plan)) {
        return die("cannot begin");
    }
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (!run(disk, oracle, &options, &plan, progress)) {
        return die("the images could not be made");
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    return report(&options, &plan, disk_n_steps(disk), progress, seconds);
}
