"""What has to outlive a process: the ledger of what was spent, and the budgets kept with it."""
