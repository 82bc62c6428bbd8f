cb_test(store/seen_set store)
cb_test(store/fold store)
cb_test(store/journal store)
cb_test(store/overlay store)
