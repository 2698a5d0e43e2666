trace a stray file of s6-overlay
