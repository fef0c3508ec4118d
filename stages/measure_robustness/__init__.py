"""How far from failing a population is: walks along many style dimensions at once, judged where they end."""
