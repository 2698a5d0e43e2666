<?php echo "hello from php, ", getenv("GREETING") ?: "no greeting", "\n";
