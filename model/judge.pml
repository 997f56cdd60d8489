/*
 * src/core/releases.cc for one cgroup with the css_sets 2 and 3: Judge, Settle,
 * Announce, and Drain of the tracker. What is done under tree_mu_ to data that only its
 * holder looks at is one step; each look at a word, a counter or a pending bit is a step.
 * With UNLINKING set 2 may stop to belong to the cgroup (SetLinks::Unlink).
 */
bool tree_mu;
bool wake;		/* the looker's eventfd */

/* struct Cgroup */
byte judged2, judged3;
bool unjudged;		/* the leaves of a set that is not linked any more */
bool linked2 = true;	/* set 2 belongs to the cgroup */
bool settling, decided, populated, awaited_known;
byte serial;		/* modulo 4 */
byte awaited;		/* a bit for each tid */

/* Ghosts. */
bool inside;		/* a live word shows one of the sets */
bool owed;		/* it emptied, and no verdict was passed since */
byte emptied, told;	/* how many times */
byte must;		/* who left before the last verdict and still holds something */

bool untold;		/* decided, and not told since */

#ifndef TOLD
#define TOLD()	told++; untold = false
#endif

#define LOCK()		atomic { !tree_mu -> tree_mu = true }
#define UNLOCK()	tree_mu = false

inline GHOSTS()
{
	if
	:: inside && WORDS(2) + WORDS(3) == 0 -> owed = true; emptied++
	:: else
	fi;
	inside = WORDS(2) + WORDS(3) > 0
}

#define LEFT(t)		(exiting[t] && !corral_word_alive(word[t]) && corral_word_set(word[t]) > 1)

inline Decide()
{
	assert(owed);	/* nothing invented, nothing told twice */
	owed = false;
	decided = true;
	untold = true;
	must = LEFT(1) * 2 + LEFT(2) * 4;
	serial = (serial + 1) & 3;
	awaited_known = false;
	settling = true;
	wake = true
}

inline Judge()
{
#ifdef UNLINKING
	v2 = judged2 * 16;
	if
	:: linked2 -> CORRAL_LOAD(counter[2], v2)
	:: else
	fi;
#else
	CORRAL_LOAD(counter[2], v2);
#endif
	if
	:: COUNT(v2) == 0 ->
		CORRAL_LOAD(counter[3], v3);
#ifdef BROKEN_VERDICT_RAISES
		/* A raise keeps others out while we judge; who lowers meanwhile is not the last. */
		d_step { v2 = counter[2]; counter[2]++ };
		d_step {
			if
			:: counter[2] == v2 + 1 -> counter[2]--
			:: else -> v2 = 255	/* somebody is at it, and will ring */
			fi
		};
		if
		:: v2 == 255 -> counter[2]--; v3 = 1
		:: else
		fi;
#endif
		if
		:: COUNT(v3) == 0 ->
#ifdef BROKEN_VERDICT_HALF
			/* The baseline is stored in one transaction, the decision in the next. */
			d_step {
				now = LEAVES(v2) != judged2;
				judged2 = LEAVES(v2)
			};
			if
			:: now -> d_step { Decide() }
			:: else
			fi;
#endif
			d_step {
				if
				:: LEAVES(v2) != judged2 || LEAVES(v3) != judged3 || unjudged ->
					unjudged = false;
					judged2 = LEAVES(v2);
					judged3 = LEAVES(v3);
					Decide()
				:: else ->
					if
					:: populated && !settling ->
						serial = (serial + 1) & 3;
						awaited_known = false;
						settling = true;
						wake = true
					:: else
					fi
				fi;
				v2 = 0; v3 = 0
			}
		:: else
		fi
	:: else
	fi
}

/* TakePending, then SetMayBeEmpty. */
#ifdef BROKEN_PENDING_LATE
inline TakePendingAndJudge(s)
{
	if
	:: pending[s] ->
		LOCK();
		Judge();
		UNLOCK();
		pending[s] = 0
	:: else
	fi
}
#else
inline TakePendingAndJudge(s)
{
	d_step { was = pending[s]; pending[s] = 0 };
	if
	:: was != 0 ->
		LOCK();
#ifdef BROKEN_PENDING_IS_TRUTH
		if	/* it was set, so the set emptied */
		:: COUNT(counter[2]) == 0 && COUNT(counter[3]) == 0 -> d_step { Decide() }
		:: else
		fi;
#else
		Judge();
#endif
		UNLOCK()
	:: else
	fi
}
#endif

inline Leavers()
{
	mask = 0;
	d_step { leaving = exiting[1] };
	if
	:: leaving ->
		if
		:: !corral_word_alive(word[1]) && corral_word_set(word[1]) > 1 -> mask = mask | 2
		:: else
		fi
	:: else
	fi;
	d_step { leaving = exiting[2] };
	if
	:: leaving ->
		if
		:: !corral_word_alive(word[2]) && corral_word_set(word[2]) > 1 -> mask = mask | 4
		:: else
		fi
	:: else
	fi
}

inline Announce()
{
	settling = false;
	CORRAL_LOAD(counter[2], v2);
	if
	:: COUNT(v2) == 0 || !linked2 ->
		CORRAL_LOAD(counter[3], v3);
		if
		:: COUNT(v3) == 0 -> populated = false
		:: else
		fi
	:: else
	fi;
	d_step {
		if
		:: decided ->
			assert(must == 0);	/* spec 10.10 */
			decided = false;
			TOLD()
		:: else
		fi;
		v2 = 0; v3 = 0
	}
}

inline Settle()
{
#ifdef BROKEN_WALK_FIRST
	Leavers();
#endif
	LOCK();
	if
	:: settling ->
		batch_serial = serial;
		UNLOCK();
#ifndef BROKEN_WALK_FIRST
		Leavers();
#endif
#ifdef BROKEN_NO_WALK
		mask = 0;
#endif
		LOCK();
		if
#ifdef BROKEN_NO_SERIAL
		:: settling ->
#else
		:: settling && serial == batch_serial ->
#endif
			if
			:: awaited_known -> awaited = awaited & mask
			:: else -> awaited = mask; awaited_known = true
			fi;
			if
			:: awaited == 0 -> Announce()
			:: else
			fi
		:: else
		fi;
		UNLOCK()
	:: else -> UNLOCK()
	fi;
	d_step { mask = 0; batch_serial = 0; leaving = 0 }
}
